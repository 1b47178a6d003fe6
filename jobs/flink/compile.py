"""Definitions to Flink SQL, pure text: topic -> valid events -> first of each id -> tiles -> topic `feature-tiles`.

Whether a message has the form of its contract is found once, as column `_fits`. One that breaks its contract goes to
topic `dead-letters`, all others to the tiles: both sides ask the same conditions, so none is lost and none counted
twice. Every tile is one group of `GROUP BY key`, where the key is the message key of `feature-tiles`; what is written
are absolute values, so that repeating a write changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from jobs.flink.options import StreamOptions
from jobs.flink.validity import FITS, asked_columns, extracted, fits, literal, of_values, problems, quoted
from lamina.contracts.aggregates import Predicate
from lamina.contracts.cards import STARRED
from lamina.contracts.features import EventSource
from lamina.contracts.topics import DEAD_LETTERS, FEATURE_TILES, LETTER_BYTES
from lamina.semantics.plan import TEXTS, Plan, State, TileSpec, sources_of
from lamina.semantics.sketch import HASH_DIGITS, kept
from lamina.semantics.states import TIMESTAMP_DIGITS

FIELD_SEPARATOR, PART_SEPARATOR, KEY_SEPARATOR = "CHR(31)", "CHR(30)", "CHR(9)"
VALUE_SEPARATOR = "U&'\\001D'"  # LISTAGG takes a literal only
_START = {"earliest": "earliest-offset", "latest": "latest-offset", "committed": "group-offsets"}


@dataclass(frozen=True)
class StreamSql:
    """A stream job as SQL: `setup` creates tables and views, `inserts` run together as one statement set."""

    setup: tuple[str, ...]
    inserts: tuple[str, ...]


_RUN = r"[0-9](?:[ ._/-]{0,3}[0-9]){11,18}"
CARD_NUMBER = rf"(?<![0-9]){_RUN}(?![0-9])"
# Hashes in hexadecimal digits and UUIDs may have twelve digits in a row; letters before or behind them tell.
CARD_FIELD = (
    r'"card_token"\s*:\s*"(?![^"]*[0-9a-f]{8}-[0-9a-f]{4}-)(?:[^"]*[^0-9A-Za-z"])?[A-Za-z]*'
    rf"{_RUN}(?![0-9A-Za-z])"
)


def compile_stream(plan: Plan, options: StreamOptions) -> StreamSql:
    """The stream job that keeps the speed tile specs of `plan`."""
    sources = sources_of(plan, plan.speed)
    setup = [_tiles_table(options), _dead_letters_table(options)]
    tiles, dead = [], []
    for source in sources:
        columns = _columns(source, plan.speed)
        setup += [_raw_table(source, options), _parsed_view(source, columns), _first_view(source, columns)]
        dead.append(_dead_letters(source))
    for tile_spec in plan.speed:
        tiles.append(_whole_tiles(tile_spec))
        if not tile_spec.inline:
            tiles += [_keyed_tiles(tile_spec, i, state) for i, state in enumerate(tile_spec.keyed)]
    inserts = [f"INSERT INTO feature_tiles\n{query}" for query in tiles]
    inserts += [f"INSERT INTO dead_letters\n{query}" for query in dead]
    return StreamSql(tuple(setup), tuple(inserts))


def _options(pairs: dict[str, str]) -> str:
    return ",\n".join(f"  {literal(key)} = {literal(value)}" for key, value in pairs.items())


def _tiles_table(options: StreamOptions) -> str:
    chosen = {
        "connector": "upsert-kafka",
        "topic": options.topic_prefix + FEATURE_TILES,
        "properties.bootstrap.servers": options.bootstrap,
        "properties.linger.ms": "5",
        "properties.batch.size": "262144",
        "properties.compression.type": "lz4",
        "key.format": "raw",
        "value.format": "raw",
        "value.fields-include": "EXCEPT_KEY",
    }
    return (
        "CREATE TEMPORARY TABLE feature_tiles (\n  `key` STRING NOT NULL,\n  `payload` STRING,\n"
        f"  PRIMARY KEY (`key`) NOT ENFORCED\n) WITH (\n{_options(chosen)}\n)"
    )


def _dead_letters_table(options: StreamOptions) -> str:
    chosen = {
        "connector": "kafka",
        "topic": options.topic_prefix + DEAD_LETTERS,
        "properties.bootstrap.servers": options.bootstrap,
        # A letter is longer than its message: one that did not fit would fail the job, again after each restart.
        "properties.max.request.size": str(LETTER_BYTES),
        "format": "raw",
        "sink.delivery-guarantee": "at-least-once",
    }
    return f"CREATE TEMPORARY TABLE dead_letters (\n  `letter` STRING\n) WITH (\n{_options(chosen)}\n)"


def _raw_table(source: EventSource, options: StreamOptions) -> str:
    chosen = {
        "connector": "kafka",
        "topic": options.topic_prefix + source.topic,
        "properties.bootstrap.servers": options.bootstrap,
        "properties.group.id": options.group,
        "properties.auto.offset.reset": "earliest",
        "scan.startup.mode": _START[options.start],
        "format": "raw",
    }
    if options.until_now:
        chosen["scan.bounded.mode"] = "latest-offset"
    return (
        f"CREATE TEMPORARY TABLE `{source.name}_raw` (\n"
        "  `message` BYTES,\n"
        "  `_partition` INT METADATA FROM 'partition' VIRTUAL,\n"
        "  `_offset` BIGINT METADATA FROM 'offset' VIRTUAL,\n"
        "  `_arrived` AS PROCTIME()\n"
        f") WITH (\n{_options(chosen)}\n)"
    )


def _columns(source: EventSource, tile_specs: Iterable[TileSpec]) -> tuple[str, ...]:
    """Those of the source's columns that somebody reads: each costs reading the message once more."""
    read = {source.id, source.timestamp, *asked_columns(source)}
    if source.revisions:
        read.add(source.revisions.verdict)
    for tile_spec in tile_specs:
        if tile_spec.source == source:
            read |= {tile_spec.entity.key, *_used_columns(tile_spec, (*tile_spec.states, *tile_spec.keyed))}
    return tuple(name for name in source.columns if name in read)


def _parsed_view(source: EventSource, columns: Iterable[str]) -> str:
    """Columns out of JSON. As both branches read it, Flink keeps it as a step of its own, and makes them once."""
    values = [f"{extracted(source, name)} AS {quoted(name)}" for name in columns]
    values.append(f"{fits(source)} AS `{FITS}`")
    chosen = ",\n  ".join(("`message`", "`_partition`", "`_offset`", "`_arrived`", *values))
    return f"CREATE TEMPORARY VIEW `{source.name}_parsed` AS\nSELECT\n  {chosen}\nFROM `{source.name}_raw`"


def _first_view(source: EventSource, columns: Iterable[str]) -> str:
    """Valid events, of each id the first to arrive, or of each id and verdict: a duplicate never counts twice."""
    told = source.revisions
    key = ", ".join(map(quoted, (source.id, told.verdict) if told else (source.id,)))
    names = ", ".join(map(quoted, columns))
    kept = [f"`{FITS}` IS TRUE", *(f"({condition}) IS NOT TRUE" for condition, _ in of_values(source))]
    valid = "\n    AND ".join(kept)
    return (
        f"CREATE TEMPORARY VIEW `{source.name}_first` AS\nSELECT {names}\nFROM (\n"
        f"  SELECT *, ROW_NUMBER() OVER (PARTITION BY {key} ORDER BY `_arrived`) AS `_turn`\n"
        f"  FROM `{source.name}_parsed`\n  WHERE {valid}\n) WHERE `_turn` = 1"
    )


def _dead_letters(source: EventSource) -> str:
    """`lamina.contracts.dead_letters.DeadLetter` as JSON; JSON_OBJECT writes bytes as base64."""
    fields = {
        "topic": literal(source.topic),
        "partition": "`_partition`",
        "offset": "`_offset`",
        "reason": "`_problem`",
        "raw": f"COALESCE({_without_card_numbers('`message`')}, X'')",
        "timestamp": "EXTRACT(EPOCH FROM CURRENT_TIMESTAMP) * 1000 + EXTRACT(MILLISECOND FROM CURRENT_TIMESTAMP)",
    }
    pairs = ",\n  ".join(f"KEY {literal(name)} VALUE {value}" for name, value in fields.items())
    problem = "\n    ".join(f"WHEN {condition} THEN {reason}" for condition, reason in problems(source))
    return (
        f"SELECT JSON_OBJECT(\n  {pairs}\n)\nFROM (\n  SELECT *, CASE\n    {problem}\n  END AS `_problem`\n"
        f"  FROM `{source.name}_parsed`\n) WHERE `_problem` IS NOT NULL"
    )


def _without_card_numbers(message: str) -> str:
    """The bytes of a message; where its card token is a card number, with all such numbers starred."""
    text = f"CAST({message} AS STRING)"
    starred = f"REGEXP_REPLACE({text}, {literal(CARD_NUMBER)}, '****')"
    masked = f"CAST(CONCAT({literal(STARRED)}, {starred}) AS BYTES)"
    return f"CASE WHEN REGEXP({text}, {literal(CARD_FIELD)}) THEN {masked} ELSE {message} END"


def _tile_key(tile_spec: TileSpec, *more: str) -> str:
    at = quoted(tile_spec.source.timestamp)
    parts = (
        literal(tile_spec.entity.name + ":"),
        quoted(tile_spec.entity.key),
        KEY_SEPARATOR,
        literal(tile_spec.id + "/"),
        f"CAST({at} - MOD({at}, {tile_spec.resolution.ms}) AS STRING)",
        *more,
    )
    return f"CONCAT({', '.join(parts)})"


def _whole_tiles(tile_spec: TileSpec) -> str:
    """Of each tile the number of its events and its states, those of keyed ones only where they are inline.

    Two payments of 5.0 and 7.0 by user 7 in one minute, whose tile starts at 43,200,000, make two messages with the key
    `user:7<tab>transactions@1m#d657d7/43200000`: first `1<31>1<31>5.0`, then `2<31>2<31>12.0`, which replaces it.

    >>> from lamina.contracts.features import Duration, Layers
    >>> from lamina.definitions.fraud import TRANSACTIONS, USER
    >>> states = State("count"), State("sum", "amount")
    >>> print(_whole_tiles(TileSpec(USER, TRANSACTIONS, Duration(60, "1m"), Layers.BOTH, 300, states, ())))
    ... # doctest: +NORMALIZE_WHITESPACE
    SELECT `key`, CONCAT(CAST(COUNT(*) AS STRING),
      CHR(31), COALESCE(CAST(COUNT(*) AS STRING), ''),
      CHR(31), COALESCE(CAST(SUM(`amount`) AS STRING), '')) AS `payload`
    FROM (
      SELECT CONCAT('user:', `user_id`, CHR(9), 'transactions@1m#d657d7/',
        CAST(`timestamp` - MOD(`timestamp`, 60000) AS STRING)) AS `key`, `amount`
      FROM `transactions_first`
    ) GROUP BY `key`
    """
    written = (*tile_spec.states, *tile_spec.keyed) if tile_spec.inline else tile_spec.states
    parts = ["CAST(COUNT(*) AS STRING)"]
    for state in written:
        parts += [FIELD_SEPARATOR, f"COALESCE(CAST({_state(state, tile_spec)} AS STRING), '')"]
    used = _used_columns(tile_spec, written)
    return _grouped(tile_spec.source, _tile_key(tile_spec), used, f"CONCAT({', '.join(parts)})")


def _keyed_tiles(tile_spec: TileSpec, index: int, state: State) -> str:
    """A tile a value: the field's name holds the value, its payload how many events."""
    source = tile_spec.source
    condition = f"{quoted(state.column or '')} IS NOT NULL"
    if state.where:
        condition += f" AND {_condition(state.where)}"
    value, size, order = _hash(state, source), kept(state.size), "`value` ASC"
    if state.kind == "last_k":
        value, size = _dated(state, source), state.size
        order = f"{quoted(source.timestamp)} DESC, {quoted(source.id)} DESC"
    key = _tile_key(tile_spec, literal(f"/{index}/"), value)
    if tile_spec.counts_all(state):
        return _grouped(source, key, (), "CAST(COUNT(*) AS STRING)", condition)
    return _best(tile_spec, key, value, condition, order, size, once=state.kind == "distinct")


def _best(tile_spec: TileSpec, key: str, value: str, condition: str, order: str, size: int, *, once: bool) -> str:
    """The first `size` values of each tile; one that is displaced leaves a message without a payload.

    Args: once: a value comes more than once, and the first time counts. Only then does each row come once, and Flink
        keeps nothing but the rows that are in.
    """
    source = tile_spec.source
    rows = (
        f"SELECT {_tile_key(tile_spec)} AS `tile`, {key} AS `key`, {value} AS `value`, {quoted(source.timestamp)}, "
        f"{quoted(source.id)}, PROCTIME() AS `_arrived`\n  FROM `{source.name}_first` WHERE {condition}"
    )
    if once:
        rows = (
            "SELECT * FROM (\n  SELECT *, ROW_NUMBER() OVER (PARTITION BY `key` ORDER BY `_arrived`) AS `_turn`\n"
            f"  FROM ({rows})\n) WHERE `_turn` = 1"
        )
    return (
        "SELECT `key`, CAST('1' AS STRING) AS `payload`\nFROM (\n"
        f"  SELECT `key`, ROW_NUMBER() OVER (PARTITION BY `tile` ORDER BY {order}) AS `_rank`\n"
        f"  FROM ({rows})\n) WHERE `_rank` <= {size}"
    )


def _grouped(source: EventSource, key: str, used: Iterable[str], payload: str, condition: str = "") -> str:
    columns = "".join(f", {quoted(name)}" for name in used)
    where = f" WHERE {condition}" if condition else ""
    return (
        f"SELECT `key`, {payload} AS `payload`\nFROM (\n  SELECT {key} AS `key`{columns}\n"
        f"  FROM `{source.name}_first`{where}\n) GROUP BY `key`"
    )


def _used_columns(tile_spec: TileSpec, states: Iterable[State]) -> tuple[str, ...]:
    used = [c for s in states for c in (s.column, s.where.column if s.where else None) if c]
    if any(s.kind in (*TEXTS, "first_time", "last_time", "decayed", "last_k") for s in states):
        used += [tile_spec.source.timestamp, tile_spec.source.id]
    return tuple(dict.fromkeys(used))


def _condition(where: Predicate) -> str:
    return where.sql(quoted(where.column))


def _as_text(column: str, source: EventSource) -> str:
    name = quoted(column)
    match source.columns[column]:
        case "string":
            return name
        case "boolean":
            return f"CASE WHEN {name} THEN 'True' WHEN NOT {name} THEN 'False' END"
        case _:
            return f"CAST({name} AS STRING)"


def _hash(state: State, source: EventSource) -> str:
    # The digest is of bytes, and Flink takes those of UTF-8.
    return f"SUBSTRING(MD5({_as_text(state.column or '', source)}), 1, {HASH_DIGITS})"


def _dated(state: State, source: EventSource) -> str:
    """Time, id and value in the form of `lamina.semantics.states.encode_text`."""
    return (
        f"CONCAT(LPAD(CAST({quoted(source.timestamp)} AS STRING), {TIMESTAMP_DIGITS}, '0'), {PART_SEPARATOR}, "
        f"{quoted(source.id)}, {PART_SEPARATOR}, {_as_text(state.column or '', source)})"
    )


def _state(state: State, tile_spec: TileSpec) -> str:
    """A state as an aggregate; NULL where nothing took part in it."""
    source = tile_spec.source
    only = f" FILTER (WHERE {_condition(state.where)})" if state.where else ""
    column = quoted(state.column) if state.column else "*"
    at = quoted(source.timestamp)
    match state.kind:
        case "count" | "sum" | "min" | "max":
            return f"{state.kind.upper()}({column}){only}"
        case "m2":
            return f"(VAR_POP({column}){only} * COUNT({column}){only})"
        case "first_time" | "last_time":
            return f"{'MIN' if state.kind == 'first_time' else 'MAX'}({at}){only}"
        case "decayed":
            assert state.half_life is not None, "a decayed state has a half-life"
            half_lives = f"CAST(MOD({at}, {tile_spec.resolution.ms}) AS DOUBLE) / {state.half_life.ms}"
            return f"SUM(POWER(CAST(2 AS DOUBLE), {half_lives})){only}"
        case "first" | "last":
            return f"{'MIN' if state.kind == 'first' else 'MAX'}({_dated(state, source)}){only}"
        case "distinct" | "last_k":
            # Without DISTINCT, which would cost a state of its own for the rare value that comes twice in a second.
            value = _hash(state, source) if state.kind == "distinct" else _dated(state, source)
            return f"LISTAGG({value}, {VALUE_SEPARATOR}){only}"

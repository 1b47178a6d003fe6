"""One OpenSearch node with its plugin for vectors (Lucene's engine, no native code), by a runner made for tests."""

from __future__ import annotations

from lamina.local import jars
from lamina.local.jvm import SERIAL_GC
from lamina.local.layout import java
from lamina.local.ports import HOST
from lamina.local.service import NotReady, Program, Service, StackPlan, get_json, write

HEAP = ("-Xms256m", "-Xmx768m")
PORT_RANGE = (9201, 9299)
"""The ports that the runner takes; where one is in use it goes on to the next without a word."""

CONFIG = """\
network.host: {host}
transport.port: {transport}
discovery.type: single-node
# A disk that is nearly full would make every index read-only without anybody being told.
cluster.routing.allocation.disk.threshold_enabled: false
action.auto_create_index: false
"""


def opensearch(plan: StackPlan) -> Service:
    """The server. Nobody has to log in: it listens on this machine alone."""
    folder, port = plan.layout.data / "opensearch", plan.ports["opensearch"]
    cluster = f"lamina-{port}"
    options = {
        "basePath": str(folder),
        "numOfNode": "1",
        "baseHttpPort": str(port - 1),
        "clusterName": cluster,
        "pluginTypes": "org.opensearch.knn.plugin.KNNPlugin",
    }

    def prepare() -> None:
        jars.require("opensearch")
        # What the runner writes itself without it is for several nodes.
        text = CONFIG.format(host=HOST, transport=plan.ports["opensearch_transport"])
        write(folder / "node_1" / "config" / "opensearch.yml", text)

    def ready() -> None:
        found = get_json(plan.url("opensearch"))
        if not isinstance(found, dict) or found.get("cluster_name") != cluster:
            raise NotReady(f"port {port} is another server's: stop that one, or remove {plan.layout.run}/ports.json")
        get_json(f"{plan.url('opensearch')}/_cluster/health?wait_for_status=yellow&timeout=2s")

    command = (java(), *HEAP, SERIAL_GC, "-cp", f"{jars.folder('opensearch')}/*")
    runner = ("org.codelibs.opensearch.runner.OpenSearchRunner", *(p for k, v in options.items() for p in (f"-{k}", v)))
    return Service(
        name="opensearch",
        address=plan.url("opensearch"),
        programs=(Program("opensearch", (*command, *runner), stop_wait_s=30),),
        prepare=prepare,
        ready=ready,
        deadline_s=240,
    )

import pytest

from lamina.definitions import load, record, system_names
from lamina.orchestration.jobs import JOBS, SparkJob, archived_topics, every_topic, has_model


@pytest.mark.parametrize("job", JOBS, ids=lambda job: job.name)
def test_every_job_is_a_file(job: SparkJob) -> None:
    assert job.file.is_file()
    assert job.doc


def test_every_source_of_a_feature_is_archived() -> None:
    for system in system_names():
        archived = archived_topics(system)
        assert {view.source.topic for view in load(system).views} <= set(record(system).feature_topics) <= set(archived)
        assert (f"predictions-{system}" in archived) == has_model(system)


def test_what_any_system_reads_is_archived_once() -> None:
    """Each run takes the offsets where its last one ended: two archives of a topic would share them out."""
    archived = every_topic()
    assert len(set(archived)) == len(archived)
    assert {topic for system in system_names() for topic in archived_topics(system)} <= set(archived)

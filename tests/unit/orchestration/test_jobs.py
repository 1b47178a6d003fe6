import pytest

from lamina.definitions import load, system_names
from lamina.orchestration.jobs import JOBS, SparkJob, archived_topics, feature_topics


@pytest.mark.parametrize("job", JOBS, ids=lambda job: job.name)
def test_every_job_is_a_file(job: SparkJob) -> None:
    assert job.file.is_file()
    assert job.doc


def test_every_source_of_a_feature_is_archived() -> None:
    archived = archived_topics(system_names())
    for system in system_names():
        assert {view.source.topic for view in load(system).views} <= set(feature_topics(system)) <= set(archived)
    assert "model-predictions" in archived
    assert len(set(archived)) == len(archived)

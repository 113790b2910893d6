import pytest

pytestmark = pytest.mark.needs("notes")


def notes(cloud, **new):
    url, method = cloud.config.get_endpoint("notes"), "POST" if new else "GET"
    return cloud.session.request(url, method, json=new or None).json()["notes"]


def test_each_project_has_its_own(admin, demo):
    assert "secret" in notes(admin, text="secret")
    assert "secret" not in notes(demo, text="mine")


def test_what_has_expired_goes(demo, eventually):
    assert "brief" in notes(demo, text="brief", seconds=1)
    eventually("the note is gone", lambda: "brief" not in notes(demo))

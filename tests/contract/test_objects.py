"""Contract of `anc.ports.Objects`."""

from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.testclient import TestClient

from anc.aws.objects import S3Objects
from anc.ports import MIN_PART_BYTES, ObjectChanged
from local.http.signed_urls import SignedUrls
from local.http.transfers import Transfers
from local.storage.objects import FileObjects
from tests.processes import PATIENCE_S

KEY = "uploads/one.wav"
FIRST, LAST = bytes(range(256)) * (MIN_PART_BYTES // 256), b"the end"


@pytest.fixture(params=["s3", "files"])
def linked(request: pytest.FixtureRequest, tmp_path: Any, clock: Any) -> Any:
    """Yield `.port`, and a client of its links: `.send(url, data)` and `.fetch(url)`."""
    if request.param == "s3":
        client = request.getfixturevalue("aws")("s3")
        where = {"LocationConstraint": "eu-central-1"}
        client.create_bucket(Bucket="anc-files", CreateBucketConfiguration=where)

        def send(url: str, data: bytes) -> int:
            return requests.put(url, data=data, timeout=PATIENCE_S).status_code

        def fetch(url: str) -> tuple[int, bytes, str]:
            answer = requests.get(url, timeout=PATIENCE_S)
            return answer.status_code, answer.content, answer.headers.get("Content-Disposition", "")

        return SimpleNamespace(port=S3Objects("anc-files", lambda: client), send=send, fetch=fetch)
    links = SignedUrls(b"secret", "http://testserver", clock)
    port = FileObjects(tmp_path / "linked", links)
    site = TestClient(Starlette(routes=Transfers(port, links, lambda key: True).routes()))

    def answer_to(url: str) -> tuple[int, bytes, str]:
        answer = site.get(url)
        return answer.status_code, answer.content, answer.headers.get("Content-Disposition", "")

    return SimpleNamespace(
        port=port, send=lambda url, data: site.put(url, content=data).status_code, fetch=answer_to
    )


@settings(max_examples=25, deadline=None)
@given(data=st.binary(max_size=10_000))
def test_a_file_comes_back_byte_for_byte(objects, data):
    objects.put("recordings/one.wav", data)

    assert objects.get("recordings/one.wav") == data


def test_a_missing_file_is_absent(objects):
    assert objects.get("recordings/none.wav") is None
    assert objects.info("recordings/none.wav") is None


def test_a_key_may_contain_spaces_and_unicode(objects):
    objects.put("aufnahmen/zug fährt ab/日本.wav", b"pcm")

    assert objects.get("aufnahmen/zug fährt ab/日本.wav") == b"pcm"


def test_a_second_put_replaces_the_whole_file(objects):
    objects.put("report.json", b"a longer text")
    objects.put("report.json", b"short")

    assert objects.get("report.json") == b"short"


def test_a_deleted_file_is_absent_and_may_be_deleted_again(objects):
    objects.put("a/b", b"1")
    objects.delete("a/b")
    objects.delete("a/b")

    assert objects.get("a/b") is None


def opened(objects: Any, key: str = KEY) -> Any:
    return objects.open(key, objects.info(key).etag)


def test_an_opened_file_supports_random_access(objects):
    objects.put(KEY, FIRST + LAST)
    assert objects.info(KEY).size == len(FIRST + LAST)
    with opened(objects) as file:
        assert file.read(4) == FIRST[:4]
        file.seek(-3, 2)
        assert file.read(100) == b"end"
        assert file.read(1) == b""
        file.seek(300)
        assert file.read(6 * 1024 * 1024) == (FIRST + LAST)[300:]


def test_opening_a_replaced_version_fails(objects):
    objects.put(KEY, b"the old content")
    etag = objects.info(KEY).etag
    objects.put(KEY, b"the new content")
    with pytest.raises(ObjectChanged):
        objects.open(KEY, etag)
    objects.delete(KEY)
    with pytest.raises(ObjectChanged):
        objects.open(KEY, etag)


def test_reading_never_mixes_the_old_content_with_the_new(objects):
    old, new = b"o" * (9 << 20), b"n" * (9 << 20)
    objects.put(KEY, old)
    with opened(objects) as file:
        assert file.read(1) == b"o"
        objects.put(KEY, new)
        try:
            rest = file.read()
        except ObjectChanged:
            return
        assert rest == old[1:]


def test_a_file_in_parts_appears_whole_when_it_is_finished(objects):
    parts = objects.begin(KEY)
    objects.put_part(KEY, parts, 2, LAST)
    objects.put_part(KEY, parts, 1, FIRST)
    assert objects.get(KEY) is None
    objects.finish(KEY, parts)
    assert objects.get(KEY) == FIRST + LAST


def test_a_part_that_is_stored_again_replaces_the_previous_one(objects):
    parts = objects.begin(KEY)
    objects.put_part(KEY, parts, 1, b"wrong")
    objects.put_part(KEY, parts, 1, b"right")
    objects.finish(KEY, parts)
    assert objects.get(KEY) == b"right"


def test_stored_parts_are_listed_until_the_file_is_finished(objects):
    parts = objects.begin(KEY)
    assert list(objects.stored_parts(KEY, parts)) == []
    objects.put_part(KEY, parts, 2, LAST)
    objects.put_part(KEY, parts, 1, FIRST)
    assert list(objects.stored_parts(KEY, parts)) == [1, 2]
    objects.finish(KEY, parts)
    assert list(objects.stored_parts(KEY, parts)) == []


def test_an_abandoned_upload_has_no_stored_parts(objects):
    parts = objects.begin(KEY)
    objects.put_part(KEY, parts, 1, LAST)
    objects.abandon(KEY, parts)
    assert list(objects.stored_parts(KEY, parts)) == []


def test_finishing_again_changes_nothing(objects):
    parts = objects.begin(KEY)
    objects.put_part(KEY, parts, 1, LAST)
    objects.finish(KEY, parts)
    objects.finish(KEY, parts)
    assert objects.get(KEY) == LAST


def test_a_finished_file_accepts_no_more_parts(objects):
    parts = objects.begin(KEY)
    objects.put_part(KEY, parts, 1, LAST)
    objects.finish(KEY, parts)
    with pytest.raises(LookupError):
        objects.put_part(KEY, parts, 2, LAST)


def test_finishing_without_parts_creates_no_file(objects):
    parts = objects.begin(KEY)
    with pytest.raises(LookupError):
        objects.finish(KEY, parts)
    assert objects.get(KEY) is None


def test_abandoning_an_upload_is_idempotent(objects):
    parts = objects.begin(KEY)
    objects.put_part(KEY, parts, 1, LAST)
    objects.abandon(KEY, parts)
    objects.abandon(KEY, parts)
    with pytest.raises(LookupError):
        objects.finish(KEY, parts)


def test_abandoning_a_finished_upload_keeps_the_file(objects):
    parts = objects.begin(KEY)
    objects.put_part(KEY, parts, 1, LAST)
    objects.finish(KEY, parts)
    objects.abandon(KEY, parts)
    assert objects.get(KEY) == LAST


def test_a_client_sends_a_file_through_its_link(linked):
    assert linked.send(linked.port.upload_link(KEY, len(LAST), 60), LAST) == 200
    assert linked.port.get(KEY) == LAST


def test_a_client_sends_a_file_in_parts(linked):
    parts = linked.port.begin(KEY)
    for number, data in ((1, FIRST), (2, LAST)):
        assert linked.send(linked.port.part_link(KEY, parts, number, len(data), 60), data) == 200
    linked.port.finish(KEY, parts)
    assert linked.port.get(KEY) == FIRST + LAST


def test_a_client_downloads_a_file_under_the_given_name(linked):
    linked.port.put(KEY, LAST)
    status, content, saved_as = linked.fetch(linked.port.download_link(KEY, 60, "zug fährt ab.wav"))
    assert (status, content) == (200, LAST)
    assert saved_as.lower() == "attachment; filename*=utf-8''zug%20f%c3%a4hrt%20ab.wav"


@pytest.fixture
def site(tmp_path: Any, clock: Any) -> Any:
    """Return the local implementation: it enforces what S3 enforces and moto does not."""
    links = SignedUrls(b"secret", "http://testserver", clock)
    created: list[tuple[str, int]] = []
    port = FileObjects(tmp_path / "site", links, lambda key, size: created.append((key, size)))
    client = TestClient(Starlette(routes=Transfers(port, links, lambda key: True).routes()))
    return SimpleNamespace(port=port, client=client, created=created)


def test_an_upload_link_permits_only_the_announced_length(linked):
    url = linked.port.upload_link(KEY, len(LAST), 60)
    query = {name.lower(): values for name, values in parse_qs(urlsplit(url).query).items()}
    assert query.get("size") == [str(len(LAST))] or "content-length" in query["x-amz-signedheaders"][0]


@pytest.mark.parametrize("body", [LAST + b"!", LAST[:-1], b""])
def test_an_upload_of_another_length_is_rejected_and_not_stored(site, body):
    assert site.client.put(site.port.upload_link(KEY, len(LAST), 60), content=body).status_code in (400, 413)
    assert site.port.get(KEY) is None
    assert not site.created


def test_an_endless_upload_is_aborted(site):
    sent = 0

    def endless() -> Any:
        nonlocal sent
        for _ in range(10_000):
            sent += 1
            yield b"x" * 65_536

    assert site.client.put(site.port.upload_link(KEY, 100_000, 60), content=endless()).status_code == 413
    assert site.port.get(KEY) is None


@pytest.mark.parametrize(
    "change",
    [
        lambda url: url.replace("one.wav", "two.wav"),
        lambda url: url.replace("size=7", "size=8"),
        lambda url: url.replace("expires=", "expires=9"),
        lambda url: url.split("&signature")[0],
        lambda url: url[:-1] + ("0" if url[-1] != "0" else "1"),
        lambda url: url.split("?")[0],
        lambda url: url + "&parts=abc&number=1",
    ],
)
def test_a_modified_link_is_rejected(site, change):
    url = change(site.port.upload_link(KEY, len(LAST), 60))
    assert site.client.put(url, content=LAST).status_code == 403
    assert not site.created


def test_a_download_link_does_not_permit_uploads(site):
    site.port.put(KEY, LAST)
    assert site.client.put(site.port.download_link(KEY, 60, "a.wav"), content=b"").status_code == 403
    assert site.port.get(KEY) == LAST


def test_a_link_expires(site, clock):
    site.port.put(KEY, LAST)
    url = site.port.download_link(KEY, 60, "a.wav")
    assert site.client.get(url).status_code == 200
    clock.now += 62
    assert site.client.get(url).status_code == 403


def test_one_notification_is_sent_per_file_and_none_per_part(site):
    parts = site.port.begin(KEY)
    site.client.put(site.port.part_link(KEY, parts, 1, len(LAST), 60), content=LAST)
    assert not site.created
    site.port.finish(KEY, parts)
    assert site.created == [(KEY, len(LAST))]


def test_files_expire_after_thirty_days_and_unfinished_uploads_after_one(site):
    site.port.put(KEY, LAST)
    parts = site.port.begin("uploads/two.wav")
    site.port.put_part("uploads/two.wav", parts, 1, LAST)
    written = site.port.path(KEY).stat().st_mtime
    site.port.sweep(written + 2 * 86_400)
    with pytest.raises(LookupError):
        site.port.finish("uploads/two.wav", parts)
    assert site.port.get(KEY) == LAST
    site.port.sweep(written + 31 * 86_400)
    assert site.port.get(KEY) is None


@pytest.mark.parametrize("key", ["", "../secret", "/etc/passwd", ".parts/abc/00001", "a\0b", "."])
def test_a_key_cannot_escape_the_folder(site, key):
    with pytest.raises(ValueError, match="does not name a file"):
        site.port.put(key, b"")

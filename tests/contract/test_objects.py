"""What a store of files promises, whoever keeps it."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=10_000))
def test_a_file_comes_back_byte_for_byte(objects, data):
    objects.put("recordings/one.wav", data)

    assert objects.get("recordings/one.wav") == data


def test_a_file_that_was_never_stored_is_absent(objects):
    assert objects.get("recordings/none.wav") is None


def test_a_key_may_hold_spaces_and_other_alphabets(objects):
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

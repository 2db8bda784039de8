"""The endpoint's contract over a real socket, with the deployed artifact."""

import base64
import http.client
import io
import json
import subprocess
import sys
import tarfile
import wave
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from anc.noise import LABELS, Classifier, summary
from tests.processes import PATIENCE_S

SAGEMAKER = Path(__file__).resolve().parents[3] / "sagemaker"
SERVE = "import sys; from pathlib import Path; import serve; s = serve.server(Path(sys.argv[1]), 0); "
SERVE += "print(s.server_port, flush=True); s.serve_forever()"


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("endpoint")
    subprocess.run([sys.executable, SAGEMAKER / "package.py", folder / "model.tar.gz"], check=True)
    with tarfile.open(folder / "model.tar.gz") as archive:
        archive.extractall(folder, filter="data")
    return folder


@pytest.fixture(scope="module")
def port(artifact: Path) -> Iterator[int]:
    """A server in a process of its own that sees nothing of the repository but what was packed."""
    (artifact / "code" / "serve.py").write_text((SAGEMAKER / "serve.py").read_text())
    command = [sys.executable, "-c", SERVE, str(artifact)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=artifact / "code") as process:
        try:
            assert process.stdout
            yield int(process.stdout.readline())
        finally:
            process.kill()


def invoke(port: int, body: bytes, kind: str, accept: str = "*/*") -> tuple[int, dict]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
    connection.request("POST", "/invocations", body, {"Content-Type": kind, "Accept": accept})
    answer = connection.getresponse()
    return answer.status, json.loads(answer.read())


def hiss(seconds: float = 1.5) -> np.ndarray:
    return np.random.default_rng(2).normal(0, 3000, int(16000 * seconds)).astype("<i2")


def message(pcm: np.ndarray, rate: int = 16000) -> bytes:
    return json.dumps({"rate": rate, "pcm": base64.b64encode(pcm.tobytes()).decode()}).encode()


def wav(pcm: np.ndarray, channels: int = 1, width: int = 2) -> bytes:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(16000)
        file.writeframes(pcm.tobytes())
    return buffer.getvalue()


def test_ping_answers_once_the_model_is_loaded(port: int) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
    connection.request("GET", "/ping")
    assert connection.getresponse().status == 200


def test_endpoint_and_layer_give_the_same_prediction(port: int) -> None:
    expected = Classifier.load().classify(hiss() / 32768, 16000)
    status, answer = invoke(port, message(hiss()), "application/json")
    assert status == 200
    assert answer["label"] == expected.label
    assert answer["probabilities"] == pytest.approx(expected.probabilities, abs=1e-6)
    assert set(answer["probabilities"]) == set(LABELS)
    assert answer["sha256"] == Classifier.load().sha256


def test_a_file_and_its_samples_get_the_same_answer(port: int) -> None:
    assert invoke(port, wav(hiss()), "audio/wav") == invoke(
        port, message(hiss()), "application/json; charset=utf-8"
    )
    both = np.column_stack([hiss(), -hiss()])  # their mean is silence
    assert (
        invoke(port, wav(both, channels=2), "audio/wav")[1]["label"]
        == invoke(port, wav(hiss()), "audio/wav")[1]["label"]
    )


def test_a_summary_is_accepted_instead_of_sound(port: int) -> None:
    packed = summary(hiss() / 32768, 16000)
    body = json.dumps({"summary": base64.b64encode(packed).decode()}).encode()
    status, answer = invoke(port, body, "application/json")
    assert status == 200
    assert answer["label"] == Classifier.load().classify_summary(packed).label


@pytest.mark.parametrize(
    ("body", "kind", "says"),
    [
        (b"", "application/json", "not JSON"),
        (b"[]", "application/json", "pcm"),
        (b'{"pcm": "AAAA"}', "application/json", "rate"),
        (b'{"pcm": "!", "rate": 16000}', "application/json", "base64"),
        (b'{"summary": "AAAA"}', "application/json", "summary"),
        (message(np.zeros(100, "<i2")), "application/json", "0.25 s"),
        (message(np.zeros(8000, "<i2"), rate=7), "application/json", "at most 60 s long"),
        (b"RIFF", "audio/wav", "not a WAV"),
        (wav(np.zeros(16000, np.uint8), width=1), "audio/wav", "16-bit"),
        (b"x", "text/plain", "content type"),
    ],
)
def test_a_bad_request_is_refused_with_its_reason(port: int, body: bytes, kind: str, says: str) -> None:
    status, answer = invoke(port, body, kind)
    assert status == 400
    assert says in answer["error"]


def test_only_json_responses_are_supported(port: int) -> None:
    assert invoke(port, message(hiss()), "application/json", accept="image/png")[0] == 400


def test_a_body_that_is_too_large_is_refused_without_reading_it(port: int) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
    connection.putrequest("POST", "/invocations")
    connection.putheader("Content-Length", str(5 << 20))
    connection.endheaders()
    assert connection.getresponse().status == 413


def test_the_artifact_is_reproducible(artifact: Path, tmp_path: Path) -> None:
    subprocess.run([sys.executable, SAGEMAKER / "package.py", tmp_path / "model.tar.gz"], check=True)
    assert (tmp_path / "model.tar.gz").read_bytes() == (artifact / "model.tar.gz").read_bytes()


def test_an_endpoint_with_a_damaged_model_does_not_start(tmp_path: Path) -> None:
    (tmp_path / "model.npz").write_bytes(b"damaged")
    run = subprocess.run(
        [sys.executable, SAGEMAKER / "serve.py", str(tmp_path), "--port", "0"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 1
    assert "not a model file" in run.stderr

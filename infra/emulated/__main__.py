"""Deploy the stacks with the CDK CLI to an emulator on this machine, then test, update and destroy them.

`make deploy-emulated` runs this module. It needs no AWS account. The emulator listens on 127.0.0.1, enforces
IAM policies, and is stopped at the end.
"""

import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from infra.emulated import headset
from infra.emulated.assembly import fit_for_emulator
from infra.emulated.deployment import STACKS, Deployment
from infra.emulated.emulator import ACCOUNT, REGION, Emulator, running
from infra.emulated.isolation import isolate
from infra.wheels import requirements

ROOT = Path(__file__).parents[2]
WORK = ROOT / "build" / "emulated"
ANC = Path(sys.executable).with_name("anc")
CDK = ROOT / "build" / "cli" / "node_modules" / ".bin" / "cdk"
START_S = time.monotonic()
WARNING = re.compile(r"WARN|ERROR|Exception|timed out|died")
LINES, MAX_LINE = 20, 300  # of each log that are printed after a failure
CONTEXT = frozenset(  # of a log message, not printed
    {"level", "location", "stack_trace", "exception_name", "cold_start", "function_name"}
    | {"function_memory_size", "function_arn", "function_request_id", "xray_trace_id"}
)


def main() -> int:
    """Run all steps and return the exit status."""
    shutil.rmtree(WORK, ignore_errors=True)
    WORK.mkdir(parents=True)
    requirements("host")  # needs network access; later steps do not
    isolated = isolate()
    try:
        with running(WORK, mqtt=isolated) as emulator:
            say(f"The emulator listens on {emulator.host}; IAM is enforced")
            deploy(emulator)
            publish(emulator)
            deployed = Deployment.of(emulator)
            try:
                with ThreadPoolExecutor() as pool:  # the smoke test waits half a minute for a dead letter
                    smoke_test = pool.submit(smoke, deployed)
                    if isolated:
                        run_headset(deployed)
                    else:
                        say("Skipped the headset over MQTT: this machine does not allow network namespaces")
                    smoke_test.result()
            finally:
                (WORK / "functions.log").write_text("".join(deployed.logged()))
            update(emulator, deployed)
            destroy(emulator, deployed)
    except (subprocess.CalledProcessError, AssertionError, TimeoutError, OSError) as fault:
        for line in warnings():
            print(line)
        say(f"Logs: {WORK.relative_to(ROOT)}/*.log")
        say(f"FAILED: {fault}")
        return 1
    say("Deployed, tested, updated and destroyed")
    return 0


def say(text: str) -> None:
    """Print a message with the elapsed seconds."""
    print(f"==> {time.monotonic() - START_S:3.0f} s: {text}", flush=True)


def warnings() -> list[str]:
    """Return the last lines with a warning of the emulator and the functions: CI keeps no logs."""
    lines: list[str] = []
    for log in (WORK / "emulator.log", WORK / "functions.log"):
        if log.exists():
            found = [line for line in log.read_text(errors="replace").splitlines() if WARNING.search(line)]
            lines += [shortened(line)[:MAX_LINE] for line in dict.fromkeys(found[-LINES:])]
    return lines


def shortened(line: str) -> str:
    """Return time, service, message and cause of a JSON log message, and other lines as they are."""
    start = line.find('{"level"')
    if start < 0:
        return line
    try:
        entry = json.loads(line[start:])
    except ValueError:
        return line
    shown = {key: value for key, value in entry.items() if key not in CONTEXT}
    cause = shown.pop("exception", "").strip().rpartition("\n")[2]
    return " ".join([*(f"{key}={value}" for key, value in shown.items()), cause])


def deploy(emulator: Emulator) -> None:
    """Synthesize, bootstrap and deploy all stacks."""
    fitted = synthesize(emulator, "assembly", say)
    cdk(emulator, "bootstrap", f"aws://{ACCOUNT}/{REGION}", "--app", str(fitted))
    say("Bootstrapped")
    cdk(emulator, "deploy", "--all", "--require-approval", "never", "--app", str(fitted))
    say("Deployed all stacks")


def synthesize(emulator: Emulator, name: str, tell: Callable[[str], None], **context: str) -> Path:
    """Synthesize with these settings, and adapt the assembly to the emulator."""
    assembly, fitted = WORK / name, WORK / f"{name}-fitted"
    settings = [f"{key}={value}" for key, value in {"layer": "host", **context}.items()]
    chosen = [part for setting in settings for part in ("--context", setting)]
    cdk(emulator, "synth", "--quiet", *chosen, "--output", str(assembly))
    for change in fit_for_emulator(assembly, fitted, emulator.host):
        tell(change)
    return fitted


def publish(emulator: Emulator) -> None:
    """Publish the console, as `make deploy` does."""
    done = run(emulator, "infra.publish", STACKS)
    files = [line for line in done if line.startswith("uploaded ")]
    if not files:
        raise AssertionError(f"no file of the console was uploaded: {done}")
    say(f"Published the console: {len(files)} files")


def smoke(deployed: Deployment) -> None:
    """Run `anc smoke`."""
    command = [str(ANC), "smoke", "--stacks", STACKS, "--https"]
    command += ["--url", deployed.rest, "--sockets", deployed.sockets]
    environment = deployed.emulator.environment | {"COLUMNS": "110", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(  # noqa: S603
        command, cwd=WORK, env=environment, text=True, capture_output=True, check=False
    )
    print(done.stdout, end="", flush=True)
    if done.returncode:
        raise AssertionError(f"anc smoke: {done.stderr.strip()}")


def run_headset(deployed: Deployment) -> None:
    """Run the headset agent, then the headset in C."""
    result = headset.run(deployed, WORK)
    say(
        f"Headset agent over MQTT: {result['filters']} filters in {result['seconds']} s, "
        f"{result['attenuation_db']:.1f} dB attenuation"
    )
    in_c = headset.run_in_c(deployed, WORK)
    if in_c is None:
        say("Skipped the headset in C: this machine has no compiler")
    else:
        say(f"Headset in C over MQTT: {in_c[1]:.1f} dB with sound, {in_c[2]:.1f} dB with statistics")


def update(emulator: Emulator, deployed: Deployment) -> None:
    """Change a setting of all functions in place, and check that no resource is replaced."""
    fitted = synthesize(emulator, "changed", lambda change: None, log_level="DEBUG")
    cdk(emulator, "deploy", "--all", "--require-approval", "never", "--app", str(fitted))
    now = Deployment.of(emulator)
    if now != deployed:
        raise AssertionError(f"the update changed the outputs from {deployed} to {now}")
    levels = now.log_levels()
    if set(levels.values()) != {"DEBUG"}:
        raise AssertionError(f"log levels after the update: {levels}")
    now.expect_health()
    say(f"Updated {len(levels)} functions in place; same addresses, healthy")


def destroy(emulator: Emulator, deployed: Deployment) -> None:
    """Delete all stacks with a headset registered, as `make destroy` does, and check that nothing is left."""
    headset.register(deployed, "left")
    removed = run(emulator, "infra.teardown", STACKS, "--yes")
    if "removed headset left" not in removed:
        raise AssertionError(f"the registered headset was not removed: {removed}")
    emptied = [line for line in removed if line.startswith("emptied ")]
    if "console" not in "".join(emptied):
        raise AssertionError(f"the console's bucket was not emptied: {emptied}")
    say(f"Emptied {len(emptied)} buckets")
    cdk(emulator, "destroy", "--all", "--force", "--app", str(WORK / "changed-fitted"))
    left = Deployment.left_behind(emulator)
    if left:
        raise AssertionError(f"not deleted: {left}")
    say("Destroyed all stacks; no resources left")


def run(emulator: Emulator, module: str, *arguments: str) -> list[str]:
    """Run a module of `infra` and return the lines of its output."""
    command = [sys.executable, "-m", module, *arguments]
    done = subprocess.run(  # noqa: S603
        command, cwd=ROOT, env=emulator.environment, check=True, text=True, stdout=subprocess.PIPE
    )
    return done.stdout.splitlines()


def cdk(emulator: Emulator, command: str, *arguments: str) -> None:
    """Run the CDK CLI; write its output to a log, and print it if the command fails."""
    done = subprocess.run(  # noqa: S603
        [str(CDK), command, *arguments, "--ci", "--no-color"],
        cwd=ROOT,
        env=emulator.environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    with (WORK / f"{command}.log").open("a") as log:
        log.write(done.stdout)
    if done.returncode:
        print(done.stdout)
        raise subprocess.CalledProcessError(done.returncode, f"cdk {command}")


if __name__ == "__main__":
    sys.exit(main())

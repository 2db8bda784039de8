"""Deploy the real stacks with the real CDK CLI to an emulator on this machine, use, update and destroy them.

`make deploy-emulated` runs it. It needs no account: the emulator listens on 127.0.0.1 alone, lets every role
do what its policy says and no more, and is stopped at the end.
"""

import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from infra.emulated.assembly import fit_for_emulator
from infra.emulated.deployment import STACKS, Deployment
from infra.emulated.emulator import ACCOUNT, REGION, Emulator, running
from infra.emulated.headset import SECONDS, wear
from infra.emulated.isolation import isolate
from infra.wheels import requirements

ROOT = Path(__file__).parents[2]
WORK = ROOT / "build" / "emulated"
ANC = Path(sys.executable).with_name("anc")
CDK = ROOT / "build" / "cli" / "node_modules" / ".bin" / "cdk"
BEGAN = time.monotonic()


def main() -> int:
    """Run all steps; returns the exit status."""
    shutil.rmtree(WORK, ignore_errors=True)
    WORK.mkdir(parents=True)
    requirements("host")  # the last thing that needs a network
    alone = isolate()
    try:
        with running(WORK, mqtt=alone) as emulator:
            say(f"The emulator listens on {emulator.host}; IAM is enforced")
            deploy(emulator)
            publish(emulator)
            deployed = Deployment.of(emulator)
            try:
                with ThreadPoolExecutor() as at_once:  # the walk waits half a minute for its dead letter
                    walk = at_once.submit(smoke, deployed)
                    if alone:
                        wear_a_headset(deployed)
                    else:
                        say("No headset over MQTT: this machine allows no network of one's own")
                    walk.result()
            finally:
                (WORK / "functions.log").write_text("".join(deployed.logged()))
            update(emulator, deployed)
            destroy(emulator)
    except (subprocess.CalledProcessError, AssertionError, TimeoutError, OSError) as fault:
        say(f"FAILED: {fault}")
        say(f"Logs: {WORK.relative_to(ROOT)}/*.log")
        return 1
    say("Deployed, used, updated and destroyed")
    return 0


def say(text: str) -> None:
    """Print what was done, and after how many seconds."""
    print(f"==> {time.monotonic() - BEGAN:3.0f} s: {text}", flush=True)


def deploy(emulator: Emulator) -> None:
    """Synthesize, bootstrap and deploy every stack."""
    fitted = synthesize(emulator, "assembly", say)
    cdk(emulator, "bootstrap", f"aws://{ACCOUNT}/{REGION}", "--app", str(fitted))
    say("Bootstrapped")
    cdk(emulator, "deploy", "--all", "--require-approval", "never", "--app", str(fitted))
    say("Deployed every stack")


def synthesize(emulator: Emulator, name: str, tell: Callable[[str], None], **context: str) -> Path:
    """Return an assembly with these settings, fit for the emulator."""
    assembly, fitted = WORK / name, WORK / f"{name}-fitted"
    settings = [f"{key}={value}" for key, value in {"layer": "host", **context}.items()]
    chosen = [part for setting in settings for part in ("--context", setting)]
    cdk(emulator, "synth", "--quiet", *chosen, "--output", str(assembly))
    for change in fit_for_emulator(assembly, fitted, emulator.host):
        tell(change)
    return fitted


def publish(emulator: Emulator) -> None:
    """Put the console's files into their bucket, as `make deploy` does."""
    done = run(emulator, "infra.publish", STACKS)
    files = [line for line in done if line.startswith("sent ")]
    if not files:
        raise AssertionError(f"no file of the console was sent: {done}")
    say(f"Published the console: {len(files)} files")


def smoke(deployed: Deployment) -> None:
    """Walk through the platform with the command that anybody uses."""
    command = [str(ANC), "smoke", "--stacks", STACKS, "--https"]
    command += ["--url", deployed.rest, "--sockets", deployed.sockets]
    environment = deployed.emulator.environment | {"COLUMNS": "110", "PYTHONPATH": str(ROOT)}
    subprocess.run(command, cwd=WORK, env=environment, check=True)  # noqa: S603


def wear_a_headset(deployed: Deployment) -> None:
    """Run the headset agent, as it is."""
    result = wear(deployed, WORK)
    say(
        f"The headset agent, over MQTT with its certificate: {result['filters']} filters in {SECONDS} s, "
        f"{result['attenuation_db']:.1f} dB quieter"
    )


def update(emulator: Emulator, deployed: Deployment) -> None:
    """Change a setting of every function in place; nothing else may become another."""
    fitted = synthesize(emulator, "changed", lambda change: None, log_level="DEBUG")
    cdk(emulator, "deploy", "--all", "--require-approval", "never", "--app", str(fitted))
    now = Deployment.of(emulator)
    if now != deployed:
        raise AssertionError(f"the update moved the platform from {deployed} to {now}")
    levels = now.log_levels()
    if set(levels.values()) != {"DEBUG"}:
        raise AssertionError(f"log levels after the update: {levels}")
    now.expect_health()
    say(f"Updated {len(levels)} functions in place: addresses stayed, and it answers")


def destroy(emulator: Emulator) -> None:
    """Empty the buckets and delete every stack, as `make destroy` does; nothing may be left that costs."""
    emptied = [
        line for line in run(emulator, "infra.empty_buckets", STACKS, "--yes") if line.startswith("emptied ")
    ]
    if "console" not in "".join(emptied):
        raise AssertionError(f"the console's bucket was not emptied: {emptied}")
    say(f"Emptied {len(emptied)} buckets")
    cdk(emulator, "destroy", "--all", "--force", "--app", str(WORK / "changed-fitted"))
    left = Deployment.left_behind(emulator)
    if left:
        raise AssertionError(f"left behind: {left}")
    say("Destroyed every stack; nothing was left")


def run(emulator: Emulator, module: str, *arguments: str) -> list[str]:
    """Run a module of `infra`; returns the lines that it printed."""
    command = [sys.executable, "-m", module, *arguments]
    done = subprocess.run(  # noqa: S603
        command, cwd=ROOT, env=emulator.environment, check=True, text=True, stdout=subprocess.PIPE
    )
    return done.stdout.splitlines()


def cdk(emulator: Emulator, command: str, *arguments: str) -> None:
    """Run the CDK CLI; what it prints is kept in a log, and shown when it fails."""
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

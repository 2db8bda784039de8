"""Deploy the real stacks with the real CDK CLI to an emulator on this machine, and send sound through them.

`make deploy-emulated` runs it. It needs no account: the emulator listens on 127.0.0.1 alone, lets every role
do what its policy says and no more, and is stopped at the end.
"""

import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from infra.emulated.assembly import fit_for_emulator
from infra.emulated.checks import Platform
from infra.emulated.emulator import ACCOUNT, REGION, Emulator, running

ROOT = Path(__file__).parents[2]
WORK = ROOT / "build" / "emulated"
CDK = ROOT / "build" / "cli" / "node_modules" / ".bin" / "cdk"


def main() -> int:
    """Run all steps; returns the exit status."""
    began = time.monotonic()
    shutil.rmtree(WORK, ignore_errors=True)
    WORK.mkdir(parents=True)
    try:
        with running(WORK) as emulator:
            say(f"The emulator listens on {emulator.host}; IAM is enforced")
            deploy(emulator)
            Platform(emulator, say).check()
    except (subprocess.CalledProcessError, AssertionError, TimeoutError, OSError) as fault:
        say(f"FAILED: {fault}")
        say(f"Logs: {WORK.relative_to(ROOT)}/*.log")
        return 1
    say(f"Deployed, and sound went through both paths, in {time.monotonic() - began:.0f} s")
    return 0


def say(text: str) -> None:
    """Print what was done."""
    print(f"==> {text}", flush=True)


def deploy(emulator: Emulator) -> None:
    """Synthesize, bootstrap and deploy every stack."""
    assembly, fitted = WORK / "assembly", WORK / "fitted"
    cdk(emulator.environment, "synth", "--quiet", "--context", "layer=host", "--output", str(assembly))
    say("Synthesized, with the layer built for this machine")
    for change in fit_for_emulator(assembly, fitted, emulator.host):
        say(change)
    cdk(emulator.environment, "bootstrap", f"aws://{ACCOUNT}/{REGION}", "--app", str(fitted))
    say("Bootstrapped")
    cdk(emulator.environment, "deploy", "--all", "--require-approval", "never", "--app", str(fitted))
    say("Deployed every stack")


def cdk(environment: Mapping[str, str], command: str, *arguments: str) -> None:
    """Run the CDK CLI; what it prints is kept in a log, and shown when it fails."""
    done = subprocess.run(  # noqa: S603
        [str(CDK), command, *arguments, "--ci", "--no-color"],
        cwd=ROOT,
        env=dict(environment),
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    (WORK / f"{command}.log").write_text(done.stdout)
    if done.returncode:
        print(done.stdout)
        raise subprocess.CalledProcessError(done.returncode, f"cdk {command}")


if __name__ == "__main__":
    sys.exit(main())

"""The function that filters recordings, apart from the control path: own queue, role, layers and timeout."""

import aws_cdk as cdk
from constructs import Construct

from infra.data import Data
from infra.environment import Environment
from infra.functions import (
    DELETE_FILE,
    ONE_CORE_MB,
    READ,
    READ_FILE,
    WRITE,
    WRITE_FILE,
    WRITE_PARTS,
    PlatformFunction,
)
from infra.layer import layers


class Recordings(cdk.Stack):
    """The consumer of the queue of recordings.

    Attributes
    ----------
    functions : dict of str to PlatformFunction
    """

    def __init__(self, scope: Construct, id: str, environment: Environment, data: Data) -> None:
        super().__init__(scope, id, env=environment.target)
        processor = PlatformFunction(
            self,
            "recording_processor",
            data=data,
            layers=layers(self, environment.layer),
            environment=environment,
            memory_mb=ONE_CORE_MB,
            decodes=True,
            may_loop=True,  # ends: see `anc.services.sound.job_processing`
        )
        processor.consume()
        processor.may_use("jobs", READ, WRITE)
        processor.may_use_files("uploads/", READ_FILE, DELETE_FILE)
        processor.may_use_files("work/", READ_FILE, WRITE_FILE, DELETE_FILE)
        processor.may_use_files("results/", WRITE_PARTS)
        processor.may_send("updates")
        processor.may_send("recordings")
        self.functions = {"recording_processor": processor}

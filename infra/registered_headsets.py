"""The headsets that are registered with an environment, and their removal before its stacks are deleted.

References
----------
AWS IoT Core API Reference: DeletePolicy refuses policies that are attached to a certificate, DeleteThingType
types that things have, DeleteThing things with a certificate. DeleteJob: at most ten jobs are deleted at the
same time.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any, NamedTuple, Self

from anc.schemas.shadow import SHADOW, SUMMARY_SHADOW
from infra.empty_buckets import stacks_of

SHOWN = 10  # names of headsets
DETACH_WAITS_S = (0.5, 1.0, 2.0, 5.0)  # AWS IoT detaches a certificate asynchronously
JOB_WAITS_S = (1.0, 2.0, 5.0, 10.0, 30.0)  # until fewer jobs are being deleted


class Registry(NamedTuple):
    """What the platform created in AWS IoT itself, most of which keeps the stacks from being deleted.

    Attributes
    ----------
    policies, thing_types : sequence of str
        Names of the policies and thing types of the stacks.
    things : sequence of str
        Things that have one of the types.
    certificates : sequence of str
        ARNs of the certificates, of headsets and of claims, that one of the policies is attached to.
    jobs : sequence of str
        Jobs of rollouts, open or ended. They remain without their headsets.
    """

    iot: Any
    data: Any
    policies: Sequence[str]
    thing_types: Sequence[str]
    things: Sequence[str]
    certificates: Sequence[str]
    jobs: Sequence[str]

    @classmethod
    def of(cls, cloudformation: Any, iot: Any, data: Any, stacks: str) -> Self:
        """Find the registrations of an environment."""
        policies, thing_types = (
            list(_names(cloudformation, stacks, kind)) for kind in ("AWS::IoT::Policy", "AWS::IoT::ThingType")
        )
        return cls(
            iot,
            data,
            policies,
            thing_types,
            things=list(_things(iot, thing_types)),
            certificates=sorted(set(_certificates(iot, policies))),
            jobs=list(_jobs(iot, stacks)),
        )

    def listed(self) -> list[str]:
        """Return a line for each of the first headsets, the number of others, of certificates and of jobs."""
        lines = [*self.things[:SHOWN]]
        if len(self.things) > SHOWN:
            lines.append(f"and {len(self.things) - SHOWN} others")
        if self.certificates:
            lines.append(f"{len(self.certificates)} certificates, including those of claims")
        if self.jobs:
            lines.append(f"{len(self.jobs)} jobs of rollouts")
        return lines

    def remove(self, sleep: Callable[[float], None] = time.sleep) -> Iterator[str]:
        """Delete the jobs, detach and delete the certificates, and delete the things; yield a line for each.

        The types are deprecated first, so that no headset registers meanwhile. AWS IoT deletes a type five
        minutes after that at the earliest.
        """
        for name in self.thing_types:
            self.iot.deprecate_thing_type(thingTypeName=name)
        for job in self.jobs:
            self._remove_job(job, sleep)
            yield f"removed job {job}"
        things = list(_things(self.iot, self.thing_types))
        for certificate in sorted(set(_certificates(self.iot, self.policies))):
            self._remove_certificate(certificate)
            yield f"removed certificate {_id_of(certificate)[:16]}"
        for thing in things:
            self._remove_thing(thing, sleep)
            yield f"removed headset {thing}"

    def _remove_job(self, job: str, sleep: Callable[[float], None]) -> None:
        going = (
            self.iot.exceptions.ResourceNotFoundException,
            self.iot.exceptions.InvalidStateTransitionException,
        )
        for wait_s in (*JOB_WAITS_S, 0.0):
            try:
                with suppress(*going):
                    self.iot.delete_job(jobId=job, force=True)
                return
            except self.iot.exceptions.LimitExceededException:
                if not wait_s:
                    raise
                sleep(wait_s)

    def _remove_certificate(self, certificate: str) -> None:
        for policy in self.policies:
            with suppress(self.iot.exceptions.ResourceNotFoundException):
                self.iot.detach_policy(policyName=policy, target=certificate)
        self.iot.update_certificate(certificateId=_id_of(certificate), newStatus="INACTIVE")
        for thing in self.iot.list_principal_things(principal=certificate)["things"]:
            self.iot.detach_thing_principal(thingName=thing, principal=certificate)
        self.iot.delete_certificate(certificateId=_id_of(certificate), forceDelete=True)

    def _remove_thing(self, thing: str, sleep: Callable[[float], None]) -> None:
        for certificate in self.iot.list_thing_principals(thingName=thing)["principals"]:
            self.iot.detach_thing_principal(thingName=thing, principal=certificate)
        for shadow in (SHADOW, SUMMARY_SHADOW):
            with suppress(self.data.exceptions.ResourceNotFoundException):
                self.data.delete_thing_shadow(thingName=thing, shadowName=shadow)
        for wait_s in DETACH_WAITS_S:
            with suppress(self.iot.exceptions.InvalidRequestException):
                self.iot.delete_thing(thingName=thing)
                return
            sleep(wait_s)
        self.iot.delete_thing(thingName=thing)


def _names(cloudformation: Any, stacks: str, kind: str) -> Iterator[str]:
    """Yield the physical names of the resources of a type."""
    for stack in stacks_of(cloudformation, stacks):
        for page in cloudformation.get_paginator("list_stack_resources").paginate(StackName=stack):
            for resource in page["StackResourceSummaries"]:
                if resource["ResourceType"] == kind and "PhysicalResourceId" in resource:
                    yield resource["PhysicalResourceId"]


def _things(iot: Any, thing_types: Sequence[str]) -> Iterator[str]:
    for name in thing_types:
        for page in iot.get_paginator("list_things").paginate(thingTypeName=name):
            yield from (thing["thingName"] for thing in page["things"])


def _jobs(iot: Any, stacks: str) -> Iterator[str]:
    for page in iot.get_paginator("list_jobs").paginate():
        yield from (job["jobId"] for job in page["jobs"] if job["jobId"].startswith(f"{stacks}-"))


def _certificates(iot: Any, policies: Sequence[str]) -> Iterator[str]:
    for policy in policies:
        for page in iot.get_paginator("list_targets_for_policy").paginate(policyName=policy):
            yield from (target for target in page["targets"] if ":cert/" in target)


def _id_of(certificate_arn: str) -> str:
    return certificate_arn.rpartition("/")[2]

"""The AWS IoT policies of headsets and claims."""

import json

from anc.schemas.topics import ingest_topic
from functions import headset_rights
from functions.routes import QUEUES
from infra.environment import NO_ACCOUNT
from tests.headset_topics import MAY_PUBLISH, MAY_PUBLISH_INGEST, MAY_SUBSCRIBE

TEMPLATES = "$aws/provisioning-templates"
ITSELF = "${iot:Connection.Thing.ThingName}"
CLIENT = "${iot:ClientId}"  # the same, since a client may connect only as itself
POLICY_LIMIT = 2048  # characters, spaces left out. Source: AWS IoT API, CreatePolicy
FARTHEST = "ap-southeast-1"  # no region's name is longer


def rights_in_iot(stacks, policy):
    """Return what an AWS IoT policy allows: actions, and the resources without account and region."""
    return {
        (statement["Action"], resource.partition(f":{NO_ACCOUNT}:")[2])
        for statement in policy["PolicyDocument"]["Statement"]
        for resource in map(stacks.text, _listed(statement["Resource"]))
    }


def policy_of(stacks, whose):
    """Return the AWS IoT policy `headset` or `claim`."""
    named = stacks.of_type("AWS::IoT::Policy").items()
    (found,) = [policy for name, policy in named if whose in name]
    return found


def test_a_headset_may_use_only_its_own_topics_shadow_and_jobs(stacks):
    shadow, jobs = f"$aws/things/{CLIENT}/shadow/name/anc", f"$aws/things/{CLIENT}/jobs"

    assert rights_in_iot(stacks, policy_of(stacks, "headset")) == {
        ("iot:Connect", f"client/{ITSELF}"),
        ("iot:Publish", f"topic/$aws/rules/anc_snapshot_dev/anc/{CLIENT}/snapshot"),
        ("iot:Publish", f"topic/$aws/rules/anc_telemetry_dev/anc/{CLIENT}/telemetry"),
        ("iot:Publish", f"topic/$aws/rules/anc_path_dev/anc/{CLIENT}/path"),
        ("iot:Publish", f"topic/anc/{CLIENT}/snapshot"),
        ("iot:Publish", f"topic/anc/{CLIENT}/path"),
        ("iot:Publish", f"topic/anc/{CLIENT}/telemetry"),
        ("iot:Publish", f"topic/anc/{CLIENT}/event"),
        ("iot:Publish", f"topic/{shadow}/get"),
        ("iot:Publish", f"topic/{shadow}/update"),
        ("iot:Publish", f"topic/{jobs}/start-next"),
        ("iot:Publish", f"topic/{jobs}/*/update"),
        ("iot:Subscribe", f"topicfilter/{jobs}/notify-next"),
        ("iot:Subscribe", f"topicfilter/{jobs}/start-next/*"),
        ("iot:Receive", f"topic/{jobs}/*"),
        ("iot:Subscribe", f"topicfilter/{shadow}/get/*"),
        ("iot:Subscribe", f"topicfilter/{shadow}/update/*"),
        ("iot:Receive", f"topic/{shadow}/*"),
    }


def test_the_policy_allows_what_the_broker_of_one_machine_allows(stacks):
    rights = {
        (action, resource.replace(CLIENT, "h1"))
        for action, resource in rights_in_iot(stacks, policy_of(stacks, "headset"))
    }

    def may(action, kind, topic):
        return headset_rights.allows(
            [resource for allowed, resource in rights if allowed == action], f"{kind}/{topic}"
        )

    assert {topic: may("iot:Publish", "topic", topic) for topic in MAY_PUBLISH} == MAY_PUBLISH
    assert {
        ingest: may("iot:Publish", "topic", ingest_topic(*ingest, "dev")) for ingest in MAY_PUBLISH_INGEST
    } == MAY_PUBLISH_INGEST
    assert {name: may("iot:Subscribe", "topicfilter", name) for name in MAY_SUBSCRIBE} == MAY_SUBSCRIBE


def test_a_headset_may_connect_only_as_its_own_thing(stacks):
    statements = policy_of(stacks, "headset")["PolicyDocument"]["Statement"]
    (connect,) = [statement for statement in statements if statement["Action"] == "iot:Connect"]

    assert connect["Condition"] == {"Bool": {"iot:Connection.Thing.IsAttached": "true"}}


def test_a_claim_may_only_provision_and_not_use_a_headset_name(stacks):
    sign, provision = "$aws/certificates/create-from-csr/json", f"{TEMPLATES}/anc-headset-dev/provision/json"
    answers = [f"{topic}/{verb}" for topic in (sign, provision) for verb in ("accepted", "rejected")]

    assert rights_in_iot(stacks, policy_of(stacks, "claim")) == {
        ("iot:Connect", "client/claim.*"),
        ("iot:Publish", f"topic/{sign}"),
        ("iot:Publish", f"topic/{provision}"),
        *(("iot:Subscribe", f"topicfilter/{answer}") for answer in answers),
        *(("iot:Receive", f"topic/{answer}") for answer in answers),
    }


def test_the_template_creates_the_thing_and_attaches_no_policy(stacks):
    (template,) = stacks.of_type("AWS::IoT::ProvisioningTemplate").values()
    made = json.loads(stacks.text(template["TemplateBody"]))["Resources"]

    assert template["TemplateType"] == "FLEET_PROVISIONING"
    assert template["TemplateName"] == "anc-headset-dev"
    assert made["thing"]["Properties"]["ThingName"] == {"Ref": "SerialNumber"}
    assert made["thing"]["Properties"]["ThingTypeName"].startswith("headsettype")
    assert made["thing"]["Properties"]["ThingGroups"][0].startswith("factorygroup")
    assert set(made) == {"thing", "certificate"}, "the hook attaches the policy, before it says yes"
    assert made["certificate"]["Properties"]["Status"] == "Active"


def test_provisioning_requires_the_hook_which_only_this_template_may_invoke(stacks):
    (template,) = stacks.of_type("AWS::IoT::ProvisioningTemplate").values()
    (permission,) = [
        each
        for each in stacks.of_type("AWS::Lambda::Permission").values()
        if each["Principal"] == "iot.amazonaws.com"
    ]

    assert stacks.function_of(template["PreProvisioningHook"]["TargetArn"]) == "provisioner"
    assert stacks.function_of(permission["FunctionName"]) == "provisioner"
    assert stacks.text(permission["SourceArn"]).endswith(":provisioningtemplate/anc-headset-dev")
    assert permission["SourceAccount"] == NO_ACCOUNT


def test_the_provisioning_role_may_not_use_policies_or_foreign_certificates(stacks):
    (template,) = stacks.of_type("AWS::IoT::ProvisioningTemplate").values()
    role = stacks.text(template["ProvisioningRoleArn"]).partition(".")[0]
    (managed,) = stacks.of_type("AWS::IAM::Role")[role]["ManagedPolicyArns"]
    assert stacks.text(managed).endswith(":iam::aws:policy/service-role/AWSIoTThingsRegistration")
    (policy,) = [
        policy
        for policy in stacks.of_type("AWS::IAM::Policy").values()
        if role in map(stacks.text, policy["Roles"])
    ]
    denied = {
        (stacks.text(resource).rpartition(":")[2], action.removeprefix("iot:"))
        for statement in policy["PolicyDocument"]["Statement"]
        for resource in _listed(statement["Resource"])
        for action in _listed(statement["Action"])
        if statement["Effect"] == "Deny"
    }
    assert {("policy/*", "CreatePolicy"), ("cert/*", "AttachPolicy"), ("policy/*", "AttachPolicy")} <= denied
    assert ("cacert/*", "RegisterCertificate") in denied
    assert all(statement["Effect"] == "Deny" for statement in policy["PolicyDocument"]["Statement"])


def _listed(value):
    return value if isinstance(value, list) else [value]


def test_iot_policies_are_within_the_size_limit(stacks):
    for policy in stacks.of_type("AWS::IoT::Policy").values():
        document = json.dumps(resolved(stacks, policy["PolicyDocument"]), separators=(",", ":"))
        assert len(document.replace("eu-central-1", FARTHEST)) <= POLICY_LIMIT


def resolved(stacks, value):
    """Return a part of a template as AWS IoT gets it."""
    match value:
        case {"Fn::Join": _}:
            return stacks.text(value).replace("AWS::Partition", "aws")
        case dict():
            return {key: resolved(stacks, part) for key, part in value.items()}
        case list():
            return [resolved(stacks, part) for part in value]
    return value


def test_telemetry_cannot_use_up_the_concurrency_of_snapshots(prod):
    """Each queue has batches of its own, and telemetry the fewest of the two."""
    at_once = {}
    for source in prod.of_type("AWS::Lambda::EventSourceMapping").values():
        queue = prod.text(source["EventSourceArn"])
        name = next(route.name for route in QUEUES if queue.startswith(route.name.replace("_", "")))
        at_once[name] = source["ScalingConfig"]["MaximumConcurrency"]

    assert at_once == {route.name: route.max_concurrency for route in QUEUES}
    assert at_once["reports"] < at_once["snapshots"]

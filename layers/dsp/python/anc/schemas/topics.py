"""Names on AWS IoT that carry the environment, so that several deployments share an account and region.

A platform on one machine has no environment: its rules are `anc_snapshot` and so on. A deployment appends its
name. A headset gets it with its credentials.
"""


def in_environment(name: str, environment: str, separator: str) -> str:
    """Return a fixed name in an environment; the name itself without one."""
    return f"{name}{separator}{environment}" if environment else name


def rule_name(rule: str, environment: str = "") -> str:
    """Return the name of a topic rule, which allows letters, digits and underscores.

    >>> rule_name("anc_snapshot", "dev")
    'anc_snapshot_dev'
    """
    return in_environment(rule, environment, "_")


def ingest_topic(rule: str, topic: str, environment: str = "") -> str:
    """Return the topic that reaches only this rule, without a charge for the message (Basic Ingest).

    >>> ingest_topic("anc_snapshot", "anc/h1/snapshot")
    '$aws/rules/anc_snapshot/anc/h1/snapshot'
    """
    return f"$aws/rules/{rule_name(rule, environment)}/{topic}"


def snapshot_topic(thing: str, environment: str = "") -> str:
    """Return the topic to which a headset publishes its snapshots."""
    return ingest_topic("anc_snapshot", f"anc/{thing}/snapshot", environment)


def telemetry_topic(thing: str, environment: str = "") -> str:
    """Return the topic to which a headset publishes its telemetry."""
    return ingest_topic("anc_telemetry", f"anc/{thing}/telemetry", environment)


def path_topic(thing: str, environment: str = "") -> str:
    """Return the topic to which a headset publishes its measured path."""
    return ingest_topic("anc_path", f"anc/{thing}/path", environment)


JOB_PREFIX = "anc"


def job_name(job: str, environment: str = "") -> str:
    """Return the name of a job in an account: letters, digits, hyphens and underscores, at most 64.

    >>> job_name("01796032800000-0a1b2c3d-00000", "prod")
    'anc-prod-01796032800000-0a1b2c3d-00000'
    """
    return f"{in_environment(JOB_PREFIX, environment, '-')}-{job}"


def jobs_topic(thing: str, topic: str) -> str:
    """Return a topic of the jobs of a headset."""
    return f"$aws/things/{thing}/jobs/{topic}"

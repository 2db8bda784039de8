"""The flows of the platform, and for each the property that must hold whatever fails."""

from tests.faults.flow import Flow, registered
from tests.faults.headset_flows import (
    ask_endpoint,
    check_alarm,
    check_path,
    check_presence,
    check_reclassified,
    check_recording,
    check_reports,
    check_snapshots,
    check_streamed,
    classified_again,
    come_and_go,
    live_session,
    measure_path,
    reports,
    send_alarm,
    send_snapshots,
    stream_blocks,
    suspected,
    upload,
    watching,
)
from tests.faults.registry_flows import (
    check_claimed,
    check_keys,
    check_registered,
    claim_serial,
    create_and_revoke_key,
    nothing,
    preregistered,
    register_and_remove,
)
from tests.faults.rollout_flow import check_rolled_out, roll_out, small_fleet

FLOWS = {
    "snapshot to shadow": Flow(
        "the shadow gets the filter of the latest snapshot; a contribution is stored at most once",
        send_snapshots,
        check_snapshots,
        classified_again,
    ),
    "emergency in a snapshot": Flow(
        "the headset opens and closes again; one event is stored, and it is announced",
        send_alarm,
        check_alarm,
        registered,
    ),
    "reclassification": Flow(
        "an alarm that the endpoint detects opens the headset; its label reaches the shadow",
        ask_endpoint,
        check_reclassified,
        suspected,
    ),
    "live block": Flow(
        "every block is filtered once; an alarm opens the session and has one event",
        stream_blocks,
        check_streamed,
        live_session,
    ),
    "recording to report": Flow(
        "the result is that of an undisturbed run, bit for bit; nothing else is left",
        upload,
        check_recording,
        watching,
    ),
    "telemetry": Flow("each report is in the history once", reports, check_reports, registered),
    "presence": Flow("the headset is shown as its last event says", come_and_go, check_presence, registered),
    "path": Flow("the measured path is stored", measure_path, check_path, registered),
    "registration and removal": Flow(
        "only the certificate in the registry is valid; the name can be registered again",
        register_and_remove,
        check_registered,
        nothing,
    ),
    "claim": Flow(
        "only the certificate of the last claim is valid", claim_serial, check_claimed, preregistered
    ),
    "API key": Flow(
        "an answered key works; a revoked one does not", create_and_revoke_key, check_keys, nothing
    ),
    "rollout": Flow(
        "every headset gets the configuration once, and keeps it; the rollout ends",
        roll_out,
        check_rolled_out,
        small_fleet,
    ),
}

/** The REST API. Generated from docs/openapi.json by `make client`: do not edit. */
declare namespace Api {
  /** The formats and limits of sound files: in a request, and in an upload. */
  interface AcceptedSounds {
    formats: Array<SoundFormat>;
    min_rate: number;
    max_rate: number;
    max_channels: number;
    request_bytes: number;
    request_seconds: number;
    upload_bytes: number;
  }
  /** A section with an alarm sound. */
  interface AlarmSpan {
    from_s: number;
    to_s: number;
    kind: string;
    score: number;
  }
  /** Acoustic levels of a sound. Without a calibration they are relative to full scale. */
  interface Analysis {
    truncated: boolean;
    note: string;
    seconds: number;
    rate: number;
    unit: "dBFS" | "dB SPL";
    a_weighted_unit: "dBFS(A)" | "dB(A)";
    channels: Array<ChannelLevels>;
  }
  /** Percentiles of the attenuation of headsets in dB; null without a measurement. Approximate on AWS. */
  interface AttenuationDistribution {
    p10_db: number | null;
    median_db: number | null;
    p90_db: number | null;
  }
  /** A page of the audit log, newest entries first. */
  interface AuditEntries {
    next: string | null;
    entries: Array<AuditEntry>;
  }
  /** An administrative action. */
  interface AuditEntry {
    at: number;
    user: string;
    name: string;
    api_key: string;
    action: string;
    subject: string;
    detail: Record<string, string>;
  }
  /** Levels of one channel in the unit of the analysis; `dc` is relative to full scale. */
  interface ChannelLevels {
    rms: number;
    peak: number;
    la_eq: number;
    crest_db: number;
    dc: number;
    clipped_samples: number;
    octaves: Record<string, number>;
  }
  /** Classification of a noise. `kinds` are the scores of siren, horn and alarm. `model` and `sha256` name the model used: that of the endpoint, or the built-in one if there is no endpoint or it does not respond in time. `emergency` and `kinds` are the worst of both models: the endpoint may add an emergency, but not silence one. */
  interface Classification {
    truncated: boolean;
    note: string;
    label: string;
    confidence: number;
    probabilities: Record<string, number>;
    emergency: Emergency;
    kinds: Record<string, number>;
    model: string;
    sha256: string;
    answered_by: "endpoint" | "layer";
  }
  /** The caller's password, and a code of the new second factor. */
  interface Confirmation {
    password: string;
    code: string;
  }
  /** A new API key. `key` is shown only once. */
  interface CreatedKey {
    id: string;
    name: string;
    role: "listener" | "operator" | "admin";
    scopes: Array<string>;
    created: number;
    expires: number | null;
    key: string;
  }
  /** What a headset needs to connect: PEM texts, endpoint, port; and the environment in its topics. */
  interface Credentials {
    certificate_id: string;
    certificate: string;
    private_key: string;
    ca: string;
    endpoint: string;
    port: number;
    environment: string;
  }
  /** Desired state of a headset. Its shadow is updated within seconds. */
  interface DesiredState {
    mode: "cancel" | "transparency" | "bypass";
    intensity: number;
  }
  /** A registered headset. `name` is its display name, or an empty string. */
  interface Device {
    thing: string;
    name: string;
    tags: Array<string>;
    model: string;
    rate: number;
    taps: number;
    max_gain_db: number;
    lower_limit_hz: number;
    secondary_taps: number;
    created: number;
  }
  /** A change of a headset's registration. */
  interface DeviceChange {
    name: string;
  }
  /** A headset with its connection state. `online` is null before the first connection; `since` is when the state last changed. `refused` counts rejected messages and `refusal` is the last one. `claim_refusal` is the last rejected claim to its name, which another device may have sent; `refusal` repeats it if no message was rejected. */
  interface DeviceDetails {
    thing: string;
    name: string;
    tags: Array<string>;
    model: string;
    rate: number;
    taps: number;
    max_gain_db: number;
    lower_limit_hz: number;
    secondary_taps: number;
    created: number;
    online: boolean | null;
    since: number | null;
    refused: number;
    refusal: DeviceRefusal | null;
    claim_refusal: DeviceRefusal | null;
  }
  /** A headset model; its driver limits the gain of a control filter and works from `lower_limit_hz` on. */
  interface DeviceModel {
    model: string;
    rate: number;
    taps: number;
    max_gain_db: number;
    lower_limit_hz: number;
    secondary: Array<number>;
    serial_prefix: string;
  }
  /** A page of headset models. */
  interface DeviceModels {
    next: string | null;
    models: Array<DeviceModel>;
  }
  /** What a request did to one of its headsets. */
  interface DeviceOutcome {
    thing: string;
    changed: boolean;
    tags: Array<string> | null;
    problem: DeviceProblem | null;
  }
  /** What a request did to each of its headsets. */
  interface DeviceOutcomes {
    outcomes: Array<DeviceOutcome>;
  }
  /** Why a headset was not changed: a code for programs, and a text for people. */
  interface DeviceProblem {
    code: string;
    detail: string;
  }
  /** A rejected message of a headset: what it was, an error code, an explanation, and when. */
  interface DeviceRefusal {
    what: string;
    code: string;
    message: string;
    at: number;
  }
  /** A page of headsets. */
  interface Devices {
    next: string | null;
    devices: Array<Device>;
  }
  /** Statistics of a duration. Quantiles are upper bounds of histogram bins; null above the last bin. */
  interface Durations {
    count: number;
    mean_ms: number | null;
    p50_ms: number | null;
    p90_ms: number | null;
    p99_ms: number | null;
  }
  /** Whether the sound contains an emergency. `reason` is set if detection failed, which counts as one. */
  interface Emergency {
    active: boolean;
    score: number;
    reason: string;
  }
  /** Changes to an emergency. Omitted fields keep their values. */
  interface EmergencyChange {
    acknowledged?: boolean | null;
    comment?: string | null;
  }
  /** Emergency detection in a sound. If detection fails, the mode is `transparency`. */
  interface EmergencyDetection {
    truncated: boolean;
    note: string;
    active: boolean;
    score: number;
    reason: string;
    mode: "cancel" | "transparency";
    kinds: Record<string, number>;
  }
  /** An emergency that switched a headset or session to transparency. `owner_name`, `acknowledged_by` and `commented_by` are user names. */
  interface EmergencyEvent {
    id: string;
    owner: string;
    owner_name: string;
    source: string;
    kind: string;
    score: number;
    at: number;
    acknowledged: boolean;
    acknowledged_by: string | null;
    acknowledged_at: number | null;
    comment: string;
    commented_by: string | null;
    commented_at: number | null;
  }
  /** A page of emergencies. With conditions it may be shorter than `limit`, or empty, and not the last. */
  interface EmergencyEvents {
    next: string | null;
    events: Array<EmergencyEvent>;
  }
  /** Whether an emergency holds any headset or session of the owner in transparency, and which. */
  interface EmergencyStatus {
    active: boolean;
    sources: Array<EmergencyEvent>;
  }
  /** The fleet at the beginning of a day (UTC). */
  interface FleetDay {
    day: string;
    at: number;
    headsets: number;
    attenuation: AttenuationDistribution;
    groups: Array<HeadsetGroup>;
  }
  /** Up to eight groups of each kind, largest first. */
  interface FleetGroups {
    model: Array<HeadsetGroup>;
    firmware: Array<HeadsetGroup>;
    noise: Array<HeadsetGroup>;
  }
  /** What the fleet index knows of a headset; null: not known yet. */
  interface FleetHeadset {
    thing: string;
    name: string | null;
    tags: Array<string>;
    owner: string | null;
    model: string | null;
    online: boolean | null;
    since: number | null;
    firmware: string | null;
    noise: string | null;
    attenuation_db: number | null;
    reverted: number | null;
    reverted_at: number | null;
    refused: number | null;
    refused_at: number | null;
  }
  /** A page of headsets. */
  interface FleetHeadsets {
    next: string | null;
    headsets: Array<FleetHeadset>;
  }
  /** The recorded days, oldest first. A day on which the platform did not run is missing. */
  interface FleetHistory {
    days: Array<FleetDay>;
  }
  /** Totals of the matching headsets, their attenuation, and those with the lowest. At most a minute old. */
  interface FleetOverview {
    headsets: number;
    online: number;
    refused: number;
    reverted: number;
    attenuation: AttenuationDistribution;
    groups: FleetGroups;
    worst: Array<FleetHeadset>;
  }
  /** A bearer token, valid for `expires_in` seconds. */
  interface Grant {
    token: string;
    expires_in: number;
    role: "listener" | "operator" | "admin";
  }
  /** Configuration of a headset. Omitted fields keep their values. */
  interface HeadsetConfig {
    snapshot_interval_s?: number | null;
    telemetry_interval_s?: number | null;
    private?: boolean | null;
  }
  /** Headsets with the same value of a field. */
  interface HeadsetGroup {
    value: string;
    headsets: number;
    attenuation: AttenuationDistribution;
  }
  /** Health of the platform and of what it depends on. */
  interface Health {
    status: "ok" | "degraded" | "failing";
    live: boolean;
    ready: boolean;
    checks: Record<string, string>;
  }
  /** Calls in an interval: their number, and percentiles within 2 %. */
  interface IntervalDurations {
    calls: number;
    p50_ms: number;
    p90_ms: number;
    p99_ms: number;
  }
  /** A recording. `downloads` has links to the results by file name when the state is `done`. */
  interface Job {
    job: string;
    name: string;
    state: "uploading" | "waiting" | "running" | "done" | "failed";
    progress: number;
    size: number;
    created: number;
    failure: string;
    summary: Record<string, any>;
    downloads: Record<string, string>;
  }
  /** A page of the caller's recordings, without links. */
  interface Jobs {
    next: string | null;
    jobs: Array<Job>;
  }
  /** An API key, without its secret. */
  interface Key {
    id: string;
    name: string;
    role: "listener" | "operator" | "admin";
    scopes: Array<string>;
    created: number;
    expires: number | null;
  }
  /** The caller's API keys. */
  interface Keys {
    keys: Array<Key>;
  }
  /** Levels of one channel in dBFS and dBFS(A): overall, by second, and by third octave (centre in Hz). */
  interface Levels {
    level_dbfs: number;
    level_dbfs_a: number;
    peak_dbfs: number;
    clipped_samples: number;
    by_second_dbfs: Array<number>;
    thirds_dbfs: Record<string, number>;
  }
  /** The caller. */
  interface Me {
    user: string;
    name: string;
    role: "listener" | "operator" | "admin";
    scopes: Array<string>;
  }
  /** A classifier in use. */
  interface Model {
    name: string;
    sha256: string;
    labels: Array<string>;
    kinds: Array<string>;
    threshold: number;
  }
  /** The classifiers in use. */
  interface Models {
    models: Array<Model>;
  }
  /** A headset to register. Omitted fields are taken from its model. */
  interface NewDevice {
    thing: string;
    secondary?: Array<number> | null;
    model?: string;
    rate?: number | null;
    taps?: number | null;
  }
  /** A headset model, as its manufacturer describes it. */
  interface NewDeviceModel {
    secondary: Array<number>;
    rate?: number;
    taps?: number;
    max_gain_db?: number;
    lower_limit_hz?: number;
    serial_prefix?: string;
  }
  /** Firmware for a headset to download, verify and keep for its boot loader. */
  interface NewFirmware {
    version: string;
    url: string;
    sha256: string;
    size: number;
  }
  /** An API key to create. It has at most the rights of its owner. */
  interface NewKey {
    name: string;
    role?: "listener" | "operator" | "admin";
    scopes?: Array<string>;
    days?: number;
  }
  /** A measured secondary path, at the sample rate of the headset. */
  interface NewPath {
    secondary: Array<number>;
    rate?: number | null;
  }
  /** The new role of a user. */
  interface NewRole {
    role: "listener" | "operator" | "admin";
  }
  /** Firmware or configuration for the headsets of a query, in stages. */
  interface NewRollout {
    name: string;
    firmware?: NewFirmware | null;
    config?: HeadsetConfig | null;
    query?: RolloutQuery;
    things?: Array<string>;
    canary_percent?: number;
    soak_minutes?: number;
    per_minute?: number;
    max_failed_percent?: number;
    max_drop_db?: number;
  }
  /** Serial numbers of headsets that will claim their certificates. */
  interface NewSerials {
    serials: Array<string>;
  }
  /** A live session to open. Omitted fields get the platform's defaults. */
  interface NewSession {
    mode?: "cancel" | "predict" | "bypass";
    algorithm?: "nlms" | "fdaf";
    rate?: number | null;
    channels?: number | null;
    taps?: number | null;
    mu?: number;
    horizon?: number | null;
  }
  /** A telemetry report of a headset, as over MQTT. */
  interface NewTelemetryReport {
    battery?: number | null;
    level_dbfs?: number | null;
    attenuation_db?: number | null;
    mode?: "cancel" | "transparency" | "bypass" | null;
    firmware?: string | null;
    filters?: number | null;
    reverted?: number | null;
    refused?: string | null;
    age_s?: number;
  }
  /** A recording to upload. */
  interface NewUpload {
    size: number;
    name?: string;
    options?: ProcessingOptions;
  }
  /** A user to create. */
  interface NewUser {
    username: string;
    password: string;
    role?: "listener" | "operator" | "admin";
  }
  /** A section with one class of noise. */
  interface NoiseSpan {
    from_s: number;
    to_s: number;
    label: string;
    confidence: number;
  }
  /** The caller's password. */
  interface Password {
    password: string;
  }
  /** Secondary path of a headset as an impulse response, tap 0 first, at `rate` Hz. */
  interface Paths {
    rate: number;
    secondary: Array<number>;
  }
  /** Processing times of live blocks, snapshots and REST requests on the server. `history` is null if `since` is not given. */
  interface Performance {
    block: Durations;
    snapshot: Durations;
    rest: Durations;
    history: PerformanceHistory | null;
  }
  /** Processing times over time, the oldest interval first; those without any call are left out. Times are known to the minute, those of more than two days ago to the hour: intervals are extended to whole minutes or hours, and begin at multiples of `step_s`. On AWS, they may be half an interval old. */
  interface PerformanceHistory {
    since: number;
    until: number;
    step_s: number;
    intervals: Array<PerformanceInterval>;
  }
  /** Operations in an interval that begins at `at`, by name; those without a call are left out. */
  interface PerformanceInterval {
    at: number;
    operations: Record<string, IntervalDurations>;
  }
  /** What a sound file contains, and what is done with its channels. `seconds` is null if the header does not give the length. `modes` has a text for each mode that the number of channels allows, `automatic` the one that is chosen by default. */
  interface Preview {
    format: string;
    rate: number;
    channels: number;
    seconds: number | null;
    automatic: "cancel" | "predict" | "classify";
    modes: Partial<Record<"cancel" | "predict" | "classify", string>>;
  }
  /** A processed recording. `audio` is a WAV file in base64, empty if it was only classified. */
  interface ProcessedSound {
    report: RecordingReport;
    audio: string;
  }
  /** How to process a recording. The default mode depends on the number of channels. */
  interface ProcessingOptions {
    mode?: "cancel" | "predict" | "classify" | null;
    algorithm?: "fdaf" | "nlms";
    taps?: number;
    mu?: number | null;
    horizon?: number;
  }
  /** Report on a processed recording. Fields of the result are null if it was only classified. */
  interface RecordingReport {
    truncated: boolean;
    note: string;
    mode: string;
    algorithm: string;
    taps: number;
    mu: number;
    seconds: number;
    rate: number;
    channels: number;
    before: Levels;
    after: Levels | null;
    attenuation_db: number | null;
    attenuation_dba: number | null;
    attenuation_last_half_db: number | null;
    attenuation_by_second_db: Array<number> | null;
    filter_resets: number | null;
    noise: Array<NoiseSpan> | null;
    emergencies: Array<AlarmSpan> | null;
  }
  /** A new headset. Its private key is shown only once. */
  interface RegisteredDevice {
    thing: string;
    name: string;
    tags: Array<string>;
    model: string;
    rate: number;
    taps: number;
    max_gain_db: number;
    lower_limit_hz: number;
    secondary_taps: number;
    created: number;
    credentials: Credentials;
  }
  /** Headsets to remove. */
  interface Removals {
    things: Array<string>;
  }
  /** A rollout: what, to whom, by whom, and how far. */
  interface Rollout {
    id: string;
    name: string;
    firmware: RolloutFirmware | null;
    config: RolloutConfig | null;
    query: RolloutConditions;
    things: Array<string>;
    canary_percent: number;
    soak_minutes: number;
    per_minute: number;
    max_failed_percent: number;
    max_drop_db: number;
    state: "active" | "paused" | "done" | "stopped" | "cancelled";
    stage: "planning" | "canary" | "fleet";
    reason: string;
    created: number;
    created_by: string;
    changed: number;
    changed_by: string | null;
    headsets: number;
    canary: number;
    counts: RolloutCounts;
    updated_change_db: number | null;
    other_change_db: number | null;
    measured: number;
  }
  /** What to do with a rollout. A paused one gives no further headset its job, and is still watched. */
  interface RolloutChange {
    action: "pause" | "resume" | "cancel";
  }
  /** Conditions on headsets; empty and null: none. */
  interface RolloutConditions {
    prefix: string;
    tag: string;
    owner: string;
    model: string;
    firmware: string;
    noise: string;
    online: boolean | null;
    attenuation_below: number | null;
    refused_since: number | null;
    reverted_since: number | null;
  }
  /** Configuration that is rolled out; null: not changed. */
  interface RolloutConfig {
    snapshot_interval_s: number | null;
    telemetry_interval_s: number | null;
    private: boolean | null;
  }
  /** Number of headsets by status. A rejected one could not use the document; cancelled includes removed. */
  interface RolloutCounts {
    waiting: number;
    queued: number;
    in_progress: number;
    succeeded: number;
    failed: number;
    rejected: number;
    timed_out: number;
    cancelled: number;
  }
  /** Firmware that is rolled out. */
  interface RolloutFirmware {
    version: string;
    url: string;
    sha256: string;
    size: number;
  }
  /** A headset of a rollout. */
  interface RolloutHeadset {
    thing: string;
    status: "waiting" | "queued" | "in_progress" | "succeeded" | "failed" | "rejected" | "timed_out" | "cancelled";
    at: number | null;
    before_db: number | null;
  }
  /** A page of the headsets of a rollout, the canary first. */
  interface RolloutHeadsets {
    next: string | null;
    headsets: Array<RolloutHeadset>;
  }
  /** Conditions on headsets, all of which must hold, in any case. Without any: the whole fleet. */
  interface RolloutQuery {
    prefix?: string;
    tag?: string;
    owner?: string;
    model?: string;
    firmware?: string;
    noise?: string;
    online?: boolean | null;
    attenuation_below?: number | null;
    refused_hours?: number | null;
    reverted_hours?: number | null;
  }
  /** A page of rollouts, the newest first. */
  interface Rollouts {
    next: string | null;
    rollouts: Array<Rollout>;
  }
  /** The secret of a new second factor. It is shown only once. */
  interface SecondFactor {
    secret: string;
    uri: string;
  }
  /** Serial numbers that were added, and those that were already registered. */
  interface Serials {
    listed: Array<string>;
    known: Array<string>;
  }
  /** A live session. Its next block has the number `next_seq`. */
  interface Session {
    session: string;
    mode: "cancel" | "predict" | "bypass";
    algorithm: "nlms" | "fdaf";
    rate: number;
    channels: number;
    taps: number;
    mu: number;
    horizon: number;
    enabled: boolean;
    intensity: number;
    next_seq: number;
    created: number;
    expires: number | null;
  }
  /** Changes to a live session. Omitted fields keep their values. */
  interface SessionChange {
    enabled?: boolean | null;
    intensity?: number | null;
    algorithm?: "nlms" | "fdaf" | null;
  }
  /** Totals of a session. `attenuation_db` is the ratio of energies; null before the first sound. */
  interface SessionSummary {
    blocks: number;
    seconds: number;
    gaps: number;
    attenuation_db: number | null;
    filter_resets: number;
  }
  /** A page of the caller's sessions. */
  interface Sessions {
    next: string | null;
    sessions: Array<Session>;
  }
  /** The shadow document of a headset. */
  interface Shadow {
    state: Record<string, any>;
    version: number;
  }
  /** Desired state of a headset. Omitted fields keep their values. */
  interface ShadowChange {
    mode?: "cancel" | "transparency" | "bypass" | null;
    intensity?: number | null;
    config?: HeadsetConfig | null;
    firmware?: NewFirmware | null;
  }
  /** A user name and password, and for users with a second factor the code of their authenticator app. */
  interface SignIn {
    username: string;
    password: string;
    code?: string | null;
  }
  /** A sound file format: its name, file name suffixes, and media types (the preferred one first). */
  interface SoundFormat {
    name: string;
    suffixes: Array<string>;
    media_types: Array<string>;
  }
  /** Tags to add to headsets and to remove from them. */
  interface TagChange {
    things: Array<string>;
    add?: Array<string>;
    remove?: Array<string>;
  }
  /** The latest telemetry report of a headset; nulls before the first. */
  interface Telemetry {
    at: number | null;
    battery: number | null;
    level_dbfs: number | null;
    attenuation_db: number | null;
    mode: "cancel" | "transparency" | "bypass" | null;
    firmware: string | null;
    filters: number | null;
    reverted: number | null;
    refused: string | null;
  }
  /** A page of telemetry reports. */
  interface TelemetryHistory {
    next: string | null;
    reports: Array<Telemetry>;
  }
  /** Telemetry over time, the oldest interval first; those without a report are left out. All reports from `complete_since` on are counted. It is later than `since` for a headset that sent more messages than one answer reads. */
  interface TelemetryTrend {
    since: number;
    until: number;
    step_s: number;
    complete_since: number;
    intervals: Array<TrendInterval>;
  }
  /** Totals of all counted events. */
  interface Totals {
    totals: Record<string, number>;
  }
  /** Telemetry of an interval that begins at `at`; nulls where no report has a value. Attenuations are percentiles of all reports in the interval, `battery` is the lowest state of charge. */
  interface TrendInterval {
    at: number;
    reports: number;
    attenuation_p10_db: number | null;
    attenuation_median_db: number | null;
    attenuation_p90_db: number | null;
    level_median_dbfs: number | null;
    battery: number | null;
  }
  /** The parts that an interrupted upload still has to send, each of `part_bytes` but the last. */
  interface UnfinishedUpload {
    job: string;
    size: number;
    part_bytes: number;
    missing: Array<UploadPart>;
    expires: number;
  }
  /** Upload links. PUT the whole file to a single link, or one part to each and then complete the upload. */
  interface Upload {
    job: string;
    links: Array<string>;
    part_bytes: number;
    expires: number;
  }
  /** A part of an upload that has not arrived, numbered from 1, and its link. */
  interface UploadPart {
    number: number;
    link: string;
  }
  /** A user. */
  interface User {
    user: string;
    role: "listener" | "operator" | "admin";
    name: string;
    created: number;
  }
  /** A page of users. */
  interface Users {
    next: string | null;
    users: Array<User>;
  }
  /** Why a request was refused (RFC 9457). */
  interface Problem {
    type: string;
    title: string;
    status: number;
    code: string;
    detail: string;
  }
  /** By method: pairs of path and type, in the order in which patterns are compared. */
  interface Answers {
    GET: [
      [`/api/users/me/keys`, Keys],
      [`/api/users/me`, Me],
      [`/api/audio/formats`, AcceptedSounds],
      [`/api/audio/jobs`, Jobs],
      [`/api/emergency/status`, EmergencyStatus],
      [`/api/emergency/events`, EmergencyEvents],
      [`/api/fleet/csv`, string],
      [`/api/fleet/overview`, FleetOverview],
      [`/api/fleet/history`, FleetHistory],
      [`/api/stats/summary`, Totals],
      [`/api/stats/performance`, Performance],
      [`/api/users`, Users],
      [`/api/sessions`, Sessions],
      [`/api/devices`, Devices],
      [`/api/device-models`, DeviceModels],
      [`/api/fleet`, FleetHeadsets],
      [`/api/rollouts`, Rollouts],
      [`/api/audit`, AuditEntries],
      [`/api/models`, Models],
      [`/health`, Health],
      [`/metrics`, string],
      [`/api/sessions/${string}/stats`, SessionSummary],
      [`/api/audio/uploads/${string}`, UnfinishedUpload],
      [`/api/audio/jobs/${string}`, Job],
      [`/api/emergency/events/${string}`, EmergencyEvent],
      [`/api/devices/${string}/shadow`, Shadow],
      [`/api/devices/${string}/telemetry`, Telemetry],
      [`/api/devices/${string}/history`, TelemetryHistory],
      [`/api/devices/${string}/trend`, TelemetryTrend],
      [`/api/devices/${string}/paths`, Paths],
      [`/api/rollouts/${string}/headsets`, RolloutHeadsets],
      [`/api/users/${string}`, User],
      [`/api/sessions/${string}`, Session],
      [`/api/devices/${string}`, DeviceDetails],
      [`/api/device-models/${string}`, DeviceModel],
      [`/api/rollouts/${string}`, Rollout],
    ];
    POST: [
      [`/api/users/me/keys`, CreatedKey],
      [`/api/users/me/second-factor`, SecondFactor],
      [`/api/auth/token`, Grant],
      [`/api/audio/classify`, Classification],
      [`/api/audio/process`, ProcessedSound],
      [`/api/audio/analyze`, Analysis],
      [`/api/audio/preview`, Preview],
      [`/api/audio/uploads`, Upload],
      [`/api/emergency/detect`, EmergencyDetection],
      [`/api/users`, User],
      [`/api/sessions`, Session],
      [`/api/devices`, RegisteredDevice],
      [`/api/device-tags`, DeviceOutcomes],
      [`/api/device-removals`, DeviceOutcomes],
      [`/api/rollouts`, Rollout],
      [`/api/audio/uploads/${string}`, Job],
      [`/api/devices/${string}/credentials`, Credentials],
      [`/api/devices/${string}/telemetry`, Telemetry],
      [`/api/devices/${string}/paths`, Paths],
      [`/api/device-models/${string}/serials`, Serials],
    ];
    PUT: [
      [`/api/users/me/second-factor`, undefined],
      [`/api/devices/${string}/paths`, Paths],
      [`/api/device-models/${string}`, DeviceModel],
    ];
    PATCH: [
      [`/api/emergency/events/${string}`, EmergencyEvent],
      [`/api/devices/${string}/shadow`, DesiredState],
      [`/api/users/${string}`, User],
      [`/api/sessions/${string}`, Session],
      [`/api/devices/${string}`, Device],
      [`/api/rollouts/${string}`, Rollout],
    ];
    DELETE: [
      [`/api/users/me/keys/${string}`, undefined],
      [`/api/users/${string}/second-factor`, undefined],
      [`/api/audio/jobs/${string}`, undefined],
      [`/api/users/${string}`, undefined],
      [`/api/sessions/${string}`, SessionSummary],
      [`/api/devices/${string}`, undefined],
      [`/api/device-models/${string}`, undefined],
    ];
  }
  /** By method: pairs of path and type, in the order in which patterns are compared. */
  interface Bodies {
    GET: [
      [`/api/users/me/keys`, undefined],
      [`/api/users/me`, undefined],
      [`/api/audio/formats`, undefined],
      [`/api/audio/jobs`, undefined],
      [`/api/emergency/status`, undefined],
      [`/api/emergency/events`, undefined],
      [`/api/fleet/csv`, undefined],
      [`/api/fleet/overview`, undefined],
      [`/api/fleet/history`, undefined],
      [`/api/stats/summary`, undefined],
      [`/api/stats/performance`, undefined],
      [`/api/users`, undefined],
      [`/api/sessions`, undefined],
      [`/api/devices`, undefined],
      [`/api/device-models`, undefined],
      [`/api/fleet`, undefined],
      [`/api/rollouts`, undefined],
      [`/api/audit`, undefined],
      [`/api/models`, undefined],
      [`/health`, undefined],
      [`/metrics`, undefined],
      [`/api/sessions/${string}/stats`, undefined],
      [`/api/audio/uploads/${string}`, undefined],
      [`/api/audio/jobs/${string}`, undefined],
      [`/api/emergency/events/${string}`, undefined],
      [`/api/devices/${string}/shadow`, undefined],
      [`/api/devices/${string}/telemetry`, undefined],
      [`/api/devices/${string}/history`, undefined],
      [`/api/devices/${string}/trend`, undefined],
      [`/api/devices/${string}/paths`, undefined],
      [`/api/rollouts/${string}/headsets`, undefined],
      [`/api/users/${string}`, undefined],
      [`/api/sessions/${string}`, undefined],
      [`/api/devices/${string}`, undefined],
      [`/api/device-models/${string}`, undefined],
      [`/api/rollouts/${string}`, undefined],
    ];
    POST: [
      [`/api/users/me/keys`, NewKey],
      [`/api/users/me/second-factor`, Password],
      [`/api/auth/token`, SignIn],
      [`/api/audio/classify`, Blob],
      [`/api/audio/process`, Blob],
      [`/api/audio/analyze`, Blob],
      [`/api/audio/preview`, Blob],
      [`/api/audio/uploads`, NewUpload],
      [`/api/emergency/detect`, Blob],
      [`/api/users`, NewUser],
      [`/api/sessions`, NewSession],
      [`/api/devices`, NewDevice],
      [`/api/device-tags`, TagChange],
      [`/api/device-removals`, Removals],
      [`/api/rollouts`, NewRollout],
      [`/api/audio/uploads/${string}`, undefined],
      [`/api/devices/${string}/credentials`, undefined],
      [`/api/devices/${string}/telemetry`, NewTelemetryReport],
      [`/api/devices/${string}/paths`, NewPath],
      [`/api/device-models/${string}/serials`, NewSerials],
    ];
    PUT: [
      [`/api/users/me/second-factor`, Confirmation],
      [`/api/devices/${string}/paths`, NewPath],
      [`/api/device-models/${string}`, NewDeviceModel],
    ];
    PATCH: [
      [`/api/emergency/events/${string}`, EmergencyChange],
      [`/api/devices/${string}/shadow`, ShadowChange],
      [`/api/users/${string}`, NewRole],
      [`/api/sessions/${string}`, SessionChange],
      [`/api/devices/${string}`, DeviceChange],
      [`/api/rollouts/${string}`, RolloutChange],
    ];
    DELETE: [
      [`/api/users/me/keys/${string}`, undefined],
      [`/api/users/${string}/second-factor`, undefined],
      [`/api/audio/jobs/${string}`, undefined],
      [`/api/users/${string}`, undefined],
      [`/api/sessions/${string}`, undefined],
      [`/api/devices/${string}`, undefined],
      [`/api/device-models/${string}`, undefined],
    ];
  }
}

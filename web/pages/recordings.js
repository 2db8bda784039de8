/** Recordings: upload, and the list of jobs. */
import { html, useEffect, useState } from "../lib/html.js";
import { detailOf } from "../lib/socket.js";
import { Alert, bytes, Empty, Heading, JobState, useRequest, when } from "../ui/parts.js";
import { Upload } from "./upload.js";

const POLL_MS = 3000;

/** @param {PageProps} props */
export function Recordings({ rest, socket }) {
  const { data, error, reload } = useRequest(async () => {
    const jobs = await rest.all("/api/audio/jobs", "jobs");
    return jobs.sort((a, b) => b.created - a.created);
  }, [], POLL_MS);
  useEffect(() => {
    const receive = (/** @type {Event} */ event) => { if (detailOf(event).type === "job") reload(); };
    socket.addEventListener("frame", receive);
    return () => socket.removeEventListener("frame", receive);
  }, [socket]);
  const [rejection, setRejection] = useState("");
  const remove = (/** @type {Api.Job} */ { job, name }) => {
    if (!confirm(`Remove ${name || "this recording"}, its report and its results?`)) return;
    setRejection("");
    rest.remove(`/api/audio/jobs/${job}`).then(reload, (failure) => setRejection(failure.message));
  };
  return html`
    <${Heading} title="Recordings" text="Automatic filters files of two channels (left: reference microphone, right: the ear) and classifies all others, without removing anything." />
    ${(rejection || error) && html`<${Alert} kind="error">${rejection || error}<//>`}
    <${Upload} rest=${rest} onSent=${reload} />
    ${data?.length === 0 && html`<${Empty} title="No recordings yet">Choose files, drop them, or record with the microphone. Length: minutes to hours.<//>`}
    ${data && data.length > 0 && html`<div class="card table"><table class="stacked">
      <thead><tr><th>Recording</th><th>State</th><th>Attenuation</th><th class="minor">Noise</th><th class="minor">Emergencies</th><th class="minor">Uploaded</th><th><span class="visually-hidden">Remove</span></th></tr></thead>
      <tbody>${data.map((job) => html`<${Row} key=${job.job} job=${job} remove=${() => remove(job)} />`)}</tbody>
    </table></div>`}`;
}

/** @param {{job: Api.Job, remove: () => void}} props */
function Row({ job, remove }) {
  const { attenuation_db: attenuation, noise, emergencies } = job.summary ?? {};
  return html`<tr>
    <td><a href=${`#/recordings/${encodeURIComponent(job.job)}`}>${job.name || "unnamed"}</a><br /><small>${bytes(job.size)}</small>
      ${(job.failure || job.summary?.note) && html`<small class="rejection">${job.failure || job.summary.note}</small>`}</td>
    <td><${JobState} ...${job} />${job.summary?.truncated && html` <span class="tag bad">incomplete</span>`}</td>
    <td data-name="Attenuation">${attenuation == null ? "–" : `${attenuation.toFixed(1)} dB`}</td><td class="minor">${noise ?? "–"}</td><td class="minor">${emergencies ?? "–"}</td>
    <td class="minor">${when(job.created)}</td>
    <td><button class="quiet danger" onClick=${remove} aria-label=${`Remove ${job.name || "unnamed"}`}>Remove</button></td></tr>`;
}

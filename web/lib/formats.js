/** The sound file formats of the platform. A test compares them with `anc.audio.formats`. */
export const FORMATS = "WAV, FLAC, Ogg (Vorbis, Opus, FLAC, Speex), MP3, MP4 (M4A), WebM, AAC, AMR, AIFF, CAF";

/** The `accept` attribute of file inputs. */
export const ACCEPTED = ".wav,.wave,.flac,.ogg,.oga,.opus,.spx,.mp3,.m4a,.mp4,.3gp,.webm,.mka,.aac,.amr,.aiff,.aif,.aifc,.caf";

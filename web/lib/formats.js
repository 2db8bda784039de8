/** The sound file formats of the platform. A test compares them with `anc.audio.formats`. */
export const FORMATS = "WAV, FLAC, Ogg (Vorbis, Opus), MP3, AIFF, CAF";

/** The `accept` attribute of file inputs. */
export const ACCEPTED = ".wav,.wave,.flac,.ogg,.oga,.opus,.mp3,.aiff,.aif,.aifc,.caf";

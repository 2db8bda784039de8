/** The sound files that the platform reads, as anc.audio.formats names them: a test holds the two together. */
export const FORMATS = "WAV, FLAC, Ogg (Vorbis, Opus), MP3, AIFF, CAF";

/** For a file picker. */
export const ACCEPTED = ".wav,.wave,.flac,.ogg,.oga,.opus,.mp3,.aiff,.aif,.aifc,.caf";

package metrics

// What a recorder has, and what it can take.
var (
	Recordings = reading(Level, "recordings",
		"Recordings that this recorder has, those included whose participant is waited for.", view("Recordings", Count))
	Capacity = reading(Level, "capacity", "Recordings that it takes at once (MAX_RECORDINGS).", view("Capacity", Count))
	Full     = reading(Level, "full", "1 while it takes no more starts, for whatever reason.", view("Full", Count))
	LiveKit  = reading(Level, "livekit_reachable", "1 while LiveKit can be reached.")
	CPU      = reading(Level, "cpu_used_ratio", "Part of its processors that it uses, ffmpeg not counted.",
		View{Name: "CPU", Unit: Percent, Scale: 100})
	Goroutines   = reading(Level, "goroutines", "Goroutines of the process.", view("Goroutines", Count))
	ScratchBytes = reading(Level, "scratch_used_bytes", "Disk space of growing files, without what is given back.",
		view("ScratchBytes", Bytes))
	ScratchUsed = reading(Level, "scratch_used_ratio",
		"Part of the disk space that growing files may take (SCRATCH_LIMIT, or what the disk has) that is taken.",
		View{Name: "ScratchUsed", Unit: Percent, Scale: 100})
)

// Starts, and what becomes of them.
var (
	StartsTaken = counter("starts_taken_total", "Starts that were taken off the queue.", view("StartsTaken", Count))
	// StartsReturned: try_again is for those of which nothing has come here, elsewhere for those that must not be carried
	// out here for now.
	StartsReturned = family("starts_returned_total", "Starts that went back to the queue, by why.",
		[]string{"reason"}, each("elsewhere", "try_again"))
	StartsRefused = family("starts_refused_total", "Starts that asked for nothing that was wanted, by why.",
		[]string{"reason"}, each("duplicate", "void"))
	TakeOvers = counter("take_overs_total", "Recordings that another recorder had before, or another attempt of this one.",
		view("TakeOvers", Count))
	HandOvers = counter("hand_overs_total", "Recordings that were offered to other recorders.")
	PickUp    = histogram("pick_up_seconds", "From the request of a recording until its first recorder had it.",
		[]float64{0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600}, view("PickUp", Seconds))
	FirstFrame = histogram("first_frame_seconds",
		"From when a recorder had a recording, or its participant came if that was later, until its first frame.",
		[]float64{0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 300}, view("FirstFrame", Seconds))
	StopToStored = histogram("stop_to_stored_seconds",
		"From when the end of a recording was decided until all its files were stored and its document was final.",
		[]float64{0.2, 0.5, 1, 2, 5, 10, 20, 60, 120, 600}, view("StopToStored", Seconds))
	Ended = family("recordings_ended_total", "Recordings that have come to their end here, by how and why.",
		[]string{"state", "reason"}, ends,
		View{Name: "RecordingsCompleted", Unit: Count, Of: func(l []string) bool { return l[0] == completed }},
		View{Name: "RecordingsFailed", Unit: Count, Of: alarming})
)

const completed, failed = "completed", "failed"

// ends are the states and reasons that recordings end with.
var ends = [][]string{
	{completed, "left"}, {completed, "stopped"}, {completed, "room_closed"}, {completed, "max_duration"},
	{completed, "writing"}, {completed, "other"},
	{failed, "not_joined"}, {failed, "no_media"}, {failed, "encrypted"}, {failed, "unrecordable"}, {failed, "unsteady"},
	{failed, "given_up"}, {failed, "parts_failed"}, {failed, "writing"}, {failed, "other"},
}

// alarming says that a recording has failed although there was something to record: that somebody was expected who did
// not come, or published nothing, is nobody's fault.
func alarming(labels []string) bool {
	state, reason := labels[0], labels[1]
	return state == failed && reason != "not_joined" && reason != "no_media"
}

// Frames and packets.
var (
	Unrecorded = family("tracks_unrecorded_total", "Tracks that were to be recorded and could not be, by why.",
		[]string{"reason"}, each("encrypted", "codec", "fault"), view("TracksUnrecorded", Count))
	Frames = family("frames_total", "Frames that were written into files, by kind.",
		[]string{"kind"}, each("audio", "video"))
	// FramesDropped: incomplete are those that could not be put together or decoded, overlapping those that lie where
	// another one is, behind those of a recording that was slower than its room.
	FramesDropped = family("frames_dropped_total", "Frames that were received and are in no file, by why.",
		[]string{"reason"}, each("behind", "overlapping", "incomplete"))
	PacketsReceived  = counter("packets_received_total", "RTP packets of recorded tracks that came.")
	PacketsLost      = counter("packets_lost_total", "RTP packets of recorded tracks that never came.")
	DroppedDatagrams = reading(Counts, "dropped_datagrams_total",
		"Datagrams that the kernel dropped because this recorder's sockets were full.", view("DroppedDatagrams", Count))
)

// Files, on their way to where they are kept.
var (
	FFmpegExits = family("ffmpeg_exits_total", "ffmpeg processes that have ended, by how.",
		[]string{"result"}, each("ok", "killed", "failed"))
	// Parts: extra is for those that were stored beside what another recorder has made of them, left for those that stay
	// on the disk.
	Parts = family("parts_total", "Parts that this recorder has recorded, by what became of them.",
		[]string{"result"}, each("stored", "extra", "left", "failed"))
	PartsRecovered = family("parts_recovered_total", "Parts of recorders that were gone, by what became of them.",
		[]string{"result"}, each("recovered", "lost"))
	Uploads = reading(Level, "uploads", "Files that are in no finished object yet.")
	Pending = reading(Level, "upload_pending_bytes",
		"Bytes of files that are in no finished object, and in no uploaded part.")
	Lag = reading(Level, "upload_lag_seconds", "Age of the oldest byte that is in no object yet, neither in a part "+
		"that was uploaded nor in the journal: what would be lost with the machine.", view("UploadLag", Seconds))
	UploadBytes     = counter("upload_bytes_total", "Bytes of media that were uploaded.")
	UploadParts     = counter("upload_parts_total", "Uploaded parts, and files that were uploaded whole.")
	UploadFailures  = counter("upload_failures_total", "Uploads of parts that failed, after the SDK's own retries.")
	JournalBytes    = reading(Level, "journal_bytes", "Bytes of this recorder's journal in the bucket.")
	JournalAge      = reading(Level, "journal_age_seconds", "Age of the journal's newest entry; 0 while no file grows.")
	JournalPuts     = counter("journal_puts_total", "PUT requests of the journal: entries, and marks of files.")
	JournalFailures = counter("journal_failures_total", "PUT requests of the journal that failed, after all retries.")
	Notices         = family("notices_total", "Attempts to deliver notices, by to whom and what became of them.",
		[]string{"receiver", "result"}, [][]string{
			{"webhook", "delivered"}, {"webhook", "refused"}, {"webhook", "failed"},
			{"event_bus", "delivered"}, {"event_bus", "failed"},
		})
	Faults = reading(Counts, "faults_total", "Panics that were caught: each is in the log with its stack.",
		view("Faults", Count))
)

// Package simulate lets a fleet of recorders go through random faults, in one process and in virtual time
// (testing/synctest). The recorders, the function and the AWS SDK are the real ones; what is around them is
// simulated:
//
//	network.go, process.go   who reaches what, and who is dead: every call of a dead process blocks until the end
//	bucket.go, queues.go     S3 and SQS behind the SDK's HTTP client; the bucket remembers every write
//	disk.go, media.go        a machine's disk, and files with a record for each frame, which says which frame it is
//	people.go, livekit.go    who is in which room and sends what; bots, presence and frames for those who follow somebody
//	webhooks.go              LiveKit's webhooks and REST calls to the function
//	host.go                  the real recorder and function on simulated machines
//
// A run is data: a [Plan] is a list of moves, made from a seed by [Generate] or read from a file. When all moves are
// made, everything is mended, people stay for some minutes, leave, and time runs until all is quiet. Then what is in
// the bucket is compared with what was sent (check.go, checkframes.go): each [Violation] names the invariant that did
// not hold.
//
//	documents-final, parts-final       everything that was begun has come to its end
//	comes-to-an-end, no-leftovers      nothing is left on queues, in the bucket, on the disks of recorders that run
//	no-dead-letters                    no command was given up
//	listed-is-stored, stored-is-listed what documents list is in the bucket, and the other way round
//	listed-once                        one document only lists a file
//	sizes-true, durations-true         what documents say of files is so
//	files-closed, no-zeroed-range      files are whole
//	no-overwrite, no-lost-frame        nobody writes over a file without having looked, and no frame is gone by that
//	no-dropped-file                    no file is removed from a disk whose frames are not in the bucket
//	exactly-once, right-person         every frame is in one file, but for overlaps that the document lists
//	calm-is-recorded                   who is surely wanted is recorded, from 90 s after a disturbance to 15 s before one,
//	                                   unless a recorder has turned them away because it observes suspects
//	stops-are-obeyed                   who is surely not wanted is not recorded
//	failed-only-with-disk              a part is lost only with its disk
//	notices, notice-after-file         everybody is told of every recording, when its files are there
//	starts-are-known                   a start that was accepted has a document
//	sigterm-in-time, no-early-end      recorders end when they are asked to, and only then
//	events-taken, no-panic             recorders do not stand still
//	poison-is-quarantined              what kills recorders does so less and less often, and is not given up
//
// What is in the disturbed times is allowed to get lost; that nothing of it is twice or wrong is not. Each plan is
// played in a process of its own (worker.go). Runs of one plan are alike, not equal, for goroutines are not scheduled
// alike.
package simulate

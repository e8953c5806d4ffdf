package scratch

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"livekit-recorder/shared/command"
)

// opened is a recorder's directory on this disk.
func opened(t *testing.T, root, recorder string) *Owned {
	t.Helper()
	o, err := Open(OS{}, root, recorder)
	require.NoError(t, err)
	return o
}

// die ends a recorder as the kernel does: the lock is gone, everything else stays.
func die(o *Owned) { o.unlock() }

// record makes the directory of an attempt, with media files in it.
func record(t *testing.T, o *Owned, recording string, files ...string) Directory {
	t.Helper()
	d := o.Attempt(recording, 1)
	require.NoError(t, d.Make(Note{Start: command.Command{Recording: recording}}))
	for _, name := range files {
		require.NoError(t, os.WriteFile(d.File(name), []byte("media"), 0o600))
	}
	return d
}

// visited are the recorders whose directories are taken over.
func visited(t *testing.T, root string, visit func(*Owned)) (names []string) {
	t.Helper()
	require.NoError(t, Abandoned(OS{}, root, func(o *Owned) {
		names = append(names, filepath.Base(o.Path))
		visit(o)
	}))
	return names
}

func nothingIsDone(*Owned) {}

func TestALivingRecordersDirectoryIsLeftAlone(t *testing.T) {
	root := t.TempDir()
	alive := opened(t, root, "alive")
	record(t, alive, "R1")
	require.Empty(t, visited(t, root, nothingIsDone))
	require.DirExists(t, alive.Attempt("R1", 1).Path)
}

func TestADeadRecordersDirectoryIsTakenOverOnce(t *testing.T) {
	root := t.TempDir()
	dead := opened(t, root, "dead")
	left := record(t, dead, "R1", "part1.webm")
	die(dead)
	require.Equal(t, []string{"dead"}, visited(t, root, func(o *Owned) {
		require.Empty(t, visited(t, root, nothingIsDone), "somebody is at it")
		attempts, err := o.Attempts()
		require.NoError(t, err)
		require.Equal(t, []Directory{left}, attempts)
	}))
	require.FileExists(t, left.File("part1.webm"), "it could not be stored")

	require.Equal(t, []string{"dead"}, visited(t, root, func(*Owned) { require.NoError(t, left.Drop()) }))
	require.NoDirExists(t, dead.Path)
	require.Empty(t, visited(t, root, nothingIsDone))
}

// Between its making and its lock a directory looks like a dead recorder's.
func TestADirectoryThatHasNoLockYetIsLeftAlone(t *testing.T) {
	root := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(root, newPrefix+"another"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(root, "a file"), nil, 0o600))
	require.Empty(t, visited(t, root, nothingIsDone))
	require.Empty(t, visited(t, filepath.Join(root, "not made yet"), nothingIsDone))
	require.DirExists(t, filepath.Join(root, newPrefix+"another"))

	require.Error(t, Abandoned(OS{}, filepath.Join(root, "a file"), nothingIsDone))
}

// Its files would never be stored, and nobody would know.
func TestADirectoryThatCannotBeTakenOverIsReported(t *testing.T) {
	root := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(root, "a foreign one", lockFile), 0o700)) // no file that can be locked
	dead := opened(t, root, "dead")
	record(t, dead, "R1", "part1.webm")
	die(dead)

	var names []string
	err := Abandoned(OS{}, root, func(o *Owned) { names = append(names, filepath.Base(o.Path)) })
	require.ErrorContains(t, err, "a foreign one")
	require.NotErrorIs(t, err, ErrLocked)
	require.Equal(t, []string{"dead"}, names, "others are")
}

func TestTwoRecordersOfOneNameAreRefused(t *testing.T) {
	root := t.TempDir()
	record(t, opened(t, root, "one"), "R1")
	_, err := Open(OS{}, root, "one")
	require.Error(t, err)

	unlock, err := OS{}.Lock(filepath.Join(root, newPrefix+"one", lockFile))
	require.NoError(t, err, "what could not be opened is not locked")
	_, err = Open(OS{}, root, "one")
	require.Error(t, err, "the other one is about to begin")
	unlock()

	require.NoError(t, os.WriteFile(filepath.Join(root, "file"), nil, 0o600))
	_, err = Open(OS{}, filepath.Join(root, "file"), "one")
	require.Error(t, err)
}

func TestARecorderLeavesNothingButWhatIsNotStored(t *testing.T) {
	root := t.TempDir()
	o := opened(t, root, "one")
	d := record(t, o, "R1", "part1.webm")
	require.Error(t, o.Close())
	require.FileExists(t, d.File("part1.webm"))
	require.Equal(t, []string{"one"}, visited(t, root, func(*Owned) { require.NoError(t, d.Drop()) }))

	require.NoError(t, opened(t, root, "two").Close())
	entries, err := os.ReadDir(root)
	require.NoError(t, err)
	require.Empty(t, entries)
}

func TestANoteSaysWhatLiesInADirectory(t *testing.T) {
	d := opened(t, t.TempDir(), "one").Attempt("R1", 7)
	require.Equal(t, "R1.7", filepath.Base(d.Path))
	_, err := d.Note()
	require.ErrorIs(t, err, os.ErrNotExist)

	require.NoError(t, d.Make(Note{Start: command.Command{Recording: "R1"}}))
	named := Note{Start: command.Command{Recording: "R1"}, File: "a/name", Epoch: 3}
	require.NoError(t, d.Make(named), "it has got its name")
	note, err := d.Note()
	require.NoError(t, err)
	require.Equal(t, named, note)
}

// A recorder may be killed while it writes.
func TestANoteIsThereWholeOrNotAtAll(t *testing.T) {
	d := record(t, opened(t, t.TempDir(), "one"), "R1")
	whole, err := d.Note()
	require.NoError(t, err)

	// As far as it comes before the file gets its name.
	require.NoError(t, os.Mkdir(d.File(noteFile+".new"), 0o700))
	require.Error(t, d.Make(Note{File: "another"}))
	note, err := d.Note()
	require.NoError(t, err)
	require.Equal(t, whole, note)
}

func TestANoteThatCannotBeReadIsNoNote(t *testing.T) {
	d := record(t, opened(t, t.TempDir(), "one"), "R1")
	require.NoError(t, os.WriteFile(d.File(noteFile), []byte("{"), 0o600))
	_, err := d.Note()
	require.Error(t, err)
}

func TestClearKeepsMediaThatIsNotStored(t *testing.T) {
	o := opened(t, t.TempDir(), "one")
	d := record(t, o, "R1", "part1.webm")
	require.ErrorContains(t, d.Clear(), "part1.webm has not been stored")
	require.FileExists(t, d.File("part1.webm"))
	require.FileExists(t, d.File(noteFile), "or nobody would know what it is")

	require.NoError(t, os.Remove(d.File("part1.webm")))
	require.NoError(t, d.Clear())
	require.NoDirExists(t, d.Path)
	require.NoError(t, d.Clear(), "cleared already")
	require.NoError(t, o.Attempt("R2", 1).Clear(), "nothing ever came")
}

func TestDropRemovesEverything(t *testing.T) {
	o := opened(t, t.TempDir(), "one")
	d := record(t, o, "R1", "part1.webm", "part2.mp4")
	require.NoError(t, d.Drop())
	require.NoDirExists(t, d.Path)
	require.NoError(t, d.Drop(), "dropped already")

	d = record(t, o, "R1")
	require.NoError(t, os.MkdirAll(d.File("not/ours"), 0o700))
	require.Error(t, d.Drop())
}

func TestWhatStandsInTheWayIsSaid(t *testing.T) {
	o := opened(t, t.TempDir(), "one")
	d := o.Attempt("R1", 1)
	require.NoError(t, os.WriteFile(d.Path, nil, 0o600))
	require.Error(t, d.Make(Note{}))
	_, err := d.Parts()
	require.Error(t, err)
	require.Error(t, d.Clear())
	require.Error(t, d.Drop())
	attempts, err := o.Attempts()
	require.NoError(t, err)
	require.Empty(t, attempts)
	_, err = (&Owned{Path: d.Path, disk: OS{}}).Attempts()
	require.Error(t, err)
}

func TestPartsAreMediaFilesOnly(t *testing.T) {
	d := record(t, opened(t, t.TempDir(), "one"), "R1", "part1.webm", "part2.mp4", "broken-part3.webm")
	parts, err := d.Parts()
	require.NoError(t, err)
	require.Equal(t, []LocalName{{1, "webm"}, {2, "mp4"}}, parts)
}

package stack

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// stopTimeout is how long a process may take to end when asked to.
const stopTimeout = 60 * time.Second

// Process is a running program of the stack. Its output goes to LogPath.
type Process struct {
	Name, LogPath string

	cmd  *exec.Cmd
	done chan struct{}
	once sync.Once
	err  error
}

// launch starts a program with that environment only. Watch sees every line of output until it returns true.
func (s *Stack) launch(name string, watch func(line string) bool, env []string,
	path string, args ...string) (*Process, error) {
	p := &Process{Name: name, LogPath: filepath.Join(s.Work, name+".log"), done: make(chan struct{})}
	log, err := os.OpenFile(p.LogPath, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}

	p.cmd = exec.Command(path, args...)
	p.cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + s.Work, "TMPDIR=" + s.Work}, env...)
	// The terminal's Ctrl-C reaches this program only, which ends the others in order. Should it be killed, they go too.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	reader, writer := io.Pipe()
	p.cmd.Stdout, p.cmd.Stderr = writer, writer
	if err := p.cmd.Start(); err != nil {
		_ = log.Close() // nothing was written
		return nil, fmt.Errorf("start %s: %w", name, err)
	}

	s.processes = append(s.processes, p)
	go func() {
		defer log.Close()
		scanner := bufio.NewScanner(reader)
		scanner.Buffer(nil, 16<<20)
		for scanner.Scan() {
			fmt.Fprintln(log, scanner.Text())
			if watch != nil && watch(scanner.Text()) {
				watch = nil
			}
		}
		_, _ = io.Copy(io.Discard, reader) // a line beyond the buffer must not block the program
	}()

	go func() {
		p.err = p.cmd.Wait()
		_ = writer.Close() // ends the reader
		close(p.done)
	}()
	return p, nil
}

// Signal sends a signal.
func (p *Process) Signal(signal os.Signal) error { return p.cmd.Process.Signal(signal) }

// PID is its process id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Stat are the fields of a process's /proc/PID/stat from the third on (proc(5)): its state, its parent and so on.
func Stat(pid int) ([]string, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return nil, fmt.Errorf("read process: %w", err)
	}
	return strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:])), nil // the second may have anything
}

// Children are the process ids of the programs that it runs.
func (p *Process) Children() (children []int, err error) {
	processes, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return nil, fmt.Errorf("find children: %w", err)
	}

	for _, path := range processes {
		pid, err := strconv.Atoi(filepath.Base(path))
		if err != nil {
			return nil, fmt.Errorf("find children: %w", err)
		}
		stat, err := Stat(pid)
		if err != nil {
			continue // it has ended
		}
		if state, parent := stat[0], stat[1]; parent == strconv.Itoa(p.PID()) && state != "Z" {
			children = append(children, pid)
		}
	}

	return children, nil
}

// Wait returns when the program has ended, with its error.
func (p *Process) Wait(ctx context.Context) error {
	select {
	case <-p.done:
		return p.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Kill ends the program by force, and returns when it has ended.
func (p *Process) Kill() {
	_ = p.Signal(syscall.SIGKILL) // it may have ended
	<-p.done
}

// Stop ends the program: by asking it, then by force.
func (p *Process) Stop() {
	p.once.Do(func() {
		_ = p.Signal(syscall.SIGTERM) // it may have ended
		select {
		case <-p.done:
		case <-time.After(stopTimeout):
			_ = p.Signal(syscall.SIGKILL)
			<-p.done
		}
	})
}

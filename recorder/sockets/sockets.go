// Package sockets looks after the UDP sockets of this process. LiveKit's SDK opens them, and lets nobody reach them,
// neither by pion's SettingEngine, which it makes itself, nor by any option. They are files of this process all the
// same.
package sockets

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// Wanted is how many bytes of datagrams each socket is to take while nobody reads it. 40 people whose key frames of 40
// packets come at one instant fill 3.7 MB as the kernel counts: 2,304 bytes for each packet.
const Wanted = 4 << 20

// Widen has all UDP sockets take so many bytes, or as many as the system lets them (net.core.rmem_max, unless this
// process may pass over that), and returns the least that one of them takes. It is no error if there are none.
func Widen(bytes int) (least int, err error) {
	files, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0, fmt.Errorf("find sockets: %w", err)
	}

	for _, file := range files {
		number, err := strconv.Atoi(file.Name())
		if err != nil {
			return least, fmt.Errorf("find sockets: %w", err)
		}
		got, err := widen(number, bytes)
		if err != nil {
			return least, fmt.Errorf("widen a socket: %w", err)
		}
		if got > 0 && (least == 0 || got < least) {
			least = got
		}
	}
	return least, nil
}

// widen does that for one file, and returns 0 if it is no UDP socket, or is gone. It works on a copy of the file's
// number: by the original, which is not ours, another file could be meant at any moment.
func widen(number, bytes int) (got int, err error) {
	own, err := unix.FcntlInt(uintptr(number), unix.F_DUPFD_CLOEXEC, 0)
	if errors.Is(err, unix.EBADF) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	defer unix.Close(own)

	kind, err := unix.GetsockoptInt(own, unix.SOL_SOCKET, unix.SO_TYPE)
	if errors.Is(err, unix.ENOTSOCK) {
		return 0, nil
	}
	domain, domainErr := unix.GetsockoptInt(own, unix.SOL_SOCKET, unix.SO_DOMAIN)
	got, gotErr := unix.GetsockoptInt(own, unix.SOL_SOCKET, unix.SO_RCVBUF)
	if err := errors.Join(err, domainErr, gotErr); err != nil {
		return 0, err
	}
	if kind != unix.SOCK_DGRAM || domain != unix.AF_INET && domain != unix.AF_INET6 {
		return 0, nil
	}
	if got >= bytes {
		return got, nil
	}

	err = unix.SetsockoptInt(own, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, bytes)
	if errors.Is(err, unix.EPERM) {
		err = unix.SetsockoptInt(own, unix.SOL_SOCKET, unix.SO_RCVBUF, bytes)
	}
	if err != nil {
		return 0, err
	}
	return unix.GetsockoptInt(own, unix.SOL_SOCKET, unix.SO_RCVBUF)
}

// Drops counts the datagrams that were dropped because this process did not take them in time. The zero value counts
// from its first use on. It is for one goroutine.
type Drops struct {
	known map[string]int64 // of each socket, by inode
}

// Since is how many were dropped since it was last called: of sockets that are open, as the kernel tells it of no
// others.
func (d *Drops) Since() (dropped int64, err error) {
	now, err := drops()
	if err != nil {
		return 0, err
	}
	for inode, count := range now {
		dropped += count - d.known[inode]
	}
	d.known = now
	return dropped, nil
}

// Count counts the datagrams that were dropped so far, for any goroutines.
type Count struct {
	mu    sync.Mutex // guards:
	drops Drops
	total int64
}

// Total is how many were dropped since it was first called, of sockets that were open when it was called.
func (c *Count) Total() (total int64, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	dropped, err := c.drops.Since()
	c.total += dropped
	return c.total, err
}

// drops are the counts of this process's UDP sockets (kernel documentation, proc_net_udp: the last column), by inode.
func drops() (counts map[string]int64, err error) {
	own, err := inodes()
	if err != nil {
		return nil, err
	}

	counts = map[string]int64{}
	for _, table := range []string{"/proc/self/net/udp", "/proc/self/net/udp6"} {
		text, err := os.ReadFile(table)
		if errors.Is(err, os.ErrNotExist) {
			continue // a machine without IPv6
		}
		if err != nil {
			return nil, fmt.Errorf("count dropped datagrams: %w", err)
		}

		const inode, dropped = 9, 12 // columns
		for line := range strings.Lines(string(text)) {
			fields := strings.Fields(line)
			if len(fields) <= dropped || !own[fields[inode]] {
				continue
			}
			if counts[fields[inode]], err = strconv.ParseInt(fields[dropped], 10, 64); err != nil {
				return nil, fmt.Errorf("count dropped datagrams: %w", err)
			}
		}
	}
	return counts, nil
}

// inodes are those of this process's sockets.
func inodes() (own map[string]bool, err error) {
	files, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return nil, fmt.Errorf("find sockets: %w", err)
	}

	own = map[string]bool{}
	for _, file := range files {
		target, err := os.Readlink(filepath.Join("/proc/self/fd", file.Name()))
		if inode, ok := strings.CutPrefix(target, "socket:["); ok && err == nil { // else it is closed, or no socket
			own[strings.TrimSuffix(inode, "]")] = true
		}
	}
	return own, nil
}

package stack

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// DroppedDatagrams are how many datagrams the kernel has dropped of each of a process's open UDP sockets, by inode,
// because the process did not take them in time (proc_net_udp: the last column).
func DroppedDatagrams(pid int) (dropped map[string]int64, err error) {
	links, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	if err != nil {
		return nil, fmt.Errorf("find sockets: %w", err)
	}

	own := map[string]bool{}
	for _, link := range links {
		target, err := os.Readlink(link)
		if inode, ok := strings.CutPrefix(target, "socket:["); ok && err == nil { // else it is closed, or a file
			own[strings.TrimSuffix(inode, "]")] = true
		}
	}

	dropped = map[string]int64{}
	for _, name := range []string{"udp", "udp6"} {
		table, err := os.ReadFile("/proc/net/" + name)
		if err != nil {
			return nil, fmt.Errorf("find sockets: %w", err)
		}
		const inode, drops = 9, 12 // columns
		for line := range strings.Lines(string(table)) {
			fields := strings.Fields(line)
			if len(fields) <= drops || !own[fields[inode]] {
				continue
			}
			if dropped[fields[inode]], err = strconv.ParseInt(fields[drops], 10, 64); err != nil {
				return nil, fmt.Errorf("count dropped datagrams: %w", err)
			}
		}
	}
	return dropped, nil
}

// LiveKitPID is the process id of the LiveKit server.
func (s *Stack) LiveKitPID() int { return s.liveKit.PID() }

package stack

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
)

// Ports are chosen below those that Linux gives to outgoing connections (ip(7), ip_local_port_range: from 32768 on),
// of which one could take a port between its choosing and its use.
const firstPort, lastPort = 10000, 32767

var chosen sync.Map // from a port to what reserves it, until this process ends

// choose finds a free port, unless there is one already. Between its choosing and its use it is reserved by a socket
// with the port in its name (unix(7), abstract sockets: no file, and gone with the process), so that another process
// that chooses at the same time does not take it.
func choose(port *int) error {
	if *port != 0 {
		return nil
	}

	for range lastPort - firstPort {
		candidate := firstPort + rand.IntN(lastPort-firstPort+1)
		reservation, err := net.Listen("unix", fmt.Sprintf("@livekit-recorder-port-%d", candidate))
		if err != nil {
			continue // chosen before, here or in another process
		}
		if !free(candidate) {
			_ = reservation.Close() // a name, nothing more
			continue
		}
		chosen.Store(candidate, reservation) // or it would be closed when nothing refers to it any more
		*port = candidate
		return nil
	}

	return errors.New("choose a port: none is free")
}

// free says whether nobody listens on a port of the loopback address.
func free(port int) bool {
	listener, err := net.Listen("tcp4", "127.0.0.1:"+strconv.Itoa(port))
	return err == nil && listener.Close() == nil
}

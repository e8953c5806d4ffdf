package sockets

import (
	"net"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func listen(t *testing.T, network, address string) *net.UDPConn {
	t.Helper()
	connection, err := net.ListenPacket(network, address)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, connection.Close()) })
	return connection.(*net.UDPConn)
}

// flood sends datagrams that nobody takes meanwhile.
func flood(t *testing.T, to *net.UDPConn, datagrams int) {
	t.Helper()
	from, err := net.Dial("udp4", to.LocalAddr().String())
	require.NoError(t, err)
	defer from.Close()

	packet := make([]byte, 1200)
	for range datagrams {
		_, err := from.Write(packet)
		require.NoError(t, err) // on the loopback interface it is there, or dropped, when this returns
	}
}

// take is how many datagrams are there.
func take(t *testing.T, from *net.UDPConn) (taken int) {
	t.Helper()
	raw, err := from.SyscallConn()
	require.NoError(t, err)

	packet := make([]byte, 1500)
	require.NoError(t, raw.Read(func(fd uintptr) bool {
		for {
			if _, _, err := unix.Recvfrom(int(fd), packet, unix.MSG_DONTWAIT); err != nil {
				require.ErrorIs(t, err, unix.EAGAIN)
				return true
			}
			taken++
		}
	}))
	return taken
}

const datagrams = 800 // of 20 people whose key frames come at one instant

func TestAWideSocketTakesMoreThanAnotherOne(t *testing.T) {
	narrow := listen(t, "udp4", "127.0.0.1:0")
	flood(t, narrow, datagrams)
	before := take(t, narrow)
	require.Less(t, before, datagrams, "the system's own buffers are large already: there is nothing to show")

	least, err := Widen(Wanted)
	require.NoError(t, err)
	require.Greater(t, least, 212992, "what Linux gives by default")
	flood(t, narrow, datagrams)
	require.Greater(t, take(t, narrow), before*3/2)
}

// What is no UDP socket is left alone.
func TestOtherFilesAreNotTouched(t *testing.T) {
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()
	buffer := func() (bytes int) {
		raw, err := listener.(*net.TCPListener).SyscallConn()
		require.NoError(t, err)
		require.NoError(t, raw.Control(func(fd uintptr) {
			bytes, err = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF)
		}))
		require.NoError(t, err)
		return bytes
	}

	before := buffer()
	_, err = Widen(Wanted)
	require.NoError(t, err)
	require.Equal(t, before, buffer())
}

// Each dropped datagram counts once, and one that another process drops not at all.
func TestDropsAreThisProcesssOwnAndCountOnce(t *testing.T) {
	var drops Drops
	_, err := drops.Since()
	require.NoError(t, err)

	narrow := listen(t, "udp4", "127.0.0.1:0")
	require.NoError(t, narrow.SetReadBuffer(1)) // the least there is
	flood(t, narrow, datagrams)

	dropped, err := drops.Since()
	require.NoError(t, err)
	require.EqualValues(t, datagrams-take(t, narrow), dropped)
	dropped, err = drops.Since()
	require.NoError(t, err)
	require.Zero(t, dropped)
}

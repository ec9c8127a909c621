package embedded

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
)

// Servers that restart come back to their port. So it is taken from below the
// range that systems give to outgoing connections: one of those, on its way
// elsewhere, would else sit on the port while its server is down.
const (
	firstPort = 15000
	lastPort  = 32000
	lookTries = 50
)

// FreePort finds a loopback port that nobody listens on.
func FreePort() (int, error) {
	ports, err := FreePorts(1)
	if err != nil {
		return 0, err
	}
	return ports[0], nil
}

// FreePorts finds n different free ports.
func FreePorts(n int) (ports []int, err error) {
	for range n {
		listener, listenErr := listenSomewhere()
		if listenErr != nil {
			return nil, errors.Join(fmt.Errorf("find a free port: %w", listenErr), err)
		}
		// Open until all are chosen, or the same port could come twice.
		defer func() { err = errors.Join(err, listener.Close()) }()
		ports = append(ports, listener.Addr().(*net.TCPAddr).Port)
	}
	return ports, nil
}

func listenSomewhere() (net.Listener, error) {
	for range lookTries {
		port := firstPort + rand.IntN(lastPort-firstPort)
		if l, err := listenOn(port); err == nil {
			return l, nil
		}
	}
	return listenOn(0) // a crowded machine: any port is better than none
}

func listenOn(port int) (net.Listener, error) {
	return net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port))) //nolint:noctx // it asks nobody and does not wait
}

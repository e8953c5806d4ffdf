// The API as a plain HTTP server, for whoever runs neither Lambda nor API Gateway: the handler of functions/api behind
// net/http. It speaks no TLS: that is the business of what stands in front of it (a load balancer, an ingress).
//
//	api            serves until SIGTERM
//	api health     asks the server of this container for its health, and says by its exit code how it is
//	api --version  says which version this is
package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"syscall"

	"github.com/sirupsen/logrus"

	"livekit-recorder/functions/environment"
	"livekit-recorder/shared/version"
)

const usage = `usage: api             serve HTTP on LISTEN_ADDR (` + usualAddress + `) until SIGTERM
       api health      ask the server on LISTEN_ADDR for its health; exit 1 if it is not well
       api --version   say which version this is
Everything is configured by environment variables: see "Configuration" in the README.`

func main() {
	os.Exit(program(os.Args[1:], os.Stdout, os.Stderr))
}

// program carries out what the arguments say, and returns the exit code.
func program(args []string, out, complaints io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()

	if len(args) > 1 {
		fmt.Fprintln(complaints, usage)
		return 2
	}
	if len(args) == 0 {
		log := environment.NewLog()
		if err := run(ctx, log); err != nil {
			log.WithError(err).Error("API failed")
			return 1
		}
		return 0
	}

	switch args[0] {
	case "health":
		if err := askHealth(ctx, address()); err != nil {
			fmt.Fprintln(complaints, "api:", err)
			return 1
		}
	case "-version", "--version":
		fmt.Fprintln(out, "api", version.String())
	case "-h", "-help", "--help":
		fmt.Fprintln(out, usage)
	default:
		fmt.Fprintln(complaints, usage)
		return 2
	}
	return 0
}

// run serves until ctx is done and every request is answered.
func run(ctx context.Context, log *logrus.Logger) error {
	handler, err := environment.Handler(ctx, log)
	if err != nil {
		return err
	}

	listener, err := net.Listen("tcp", address())
	if err != nil {
		return fmt.Errorf("listen at LISTEN_ADDR: %w", err)
	}
	log.WithFields(logrus.Fields{
		"address": listener.Addr().String(),
		"version": version.Version(),
		"commit":  version.Commit(),
	}).Info("API ready")
	return serve(ctx, listener, handler, log)
}

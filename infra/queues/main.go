// A queue server for one machine, where there is no SQS: the one that the end-to-end tests run against, with its queues
// and messages in a file. Each queue gets a dead-letter queue, NAME-dead, and the redrive policy of template.yaml.
//
//	queues -listen :9324 -url http://queues:9324 -file /data/queues.json starts controls
//
// It asks for no signature: whoever reaches it may do everything.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"livekit-recorder/infra/local/sqs"
	"livekit-recorder/recorder/worker"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()

	if err := run(ctx, os.Args[1:]); err != nil {
		log.Fatal("queues: ", err)
	}
}

// run serves until ctx is done.
func run(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("queues", flag.ContinueOnError)
	listen := flags.String("listen", ":9324", "address to listen at")
	url := flags.String("url", "http://localhost:9324", "where clients reach it: queues' URLs begin with it")
	file := flags.String("file", "queues.json", "file that queues and messages are kept in")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() == 0 {
		return errors.New("name the queues that there are to be")
	}

	server, err := sqs.NewKept(*url, *file)
	if err != nil {
		return err
	}
	for _, name := range flags.Args() {
		if err := server.Ensure(name, worker.MaxReceives); err != nil {
			return err
		}
	}

	listener, err := net.Listen("tcp", *listen)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	log.Printf("queues %q at %s, kept in %s", flags.Args(), *url, *file)
	return serve(ctx, listener, server)
}

// serve ends by cutting off long polls: whoever polls, polls again.
func serve(ctx context.Context, listener net.Listener, handler http.Handler) error {
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()

	select {
	case err := <-failed:
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
		return server.Close()
	}
}

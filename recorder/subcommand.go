package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"

	"livekit-recorder/recorder/health"
	"livekit-recorder/shared/version"
)

const usage = `usage: recorder                         records, with the settings of its environment, until SIGTERM
       recorder check [-json]           tries out whether it can, and says what to do if not (exit 0 or 1)
       recorder compose [-o FILE] DOCUMENT.json ...
                                        prints the ffmpeg command that puts recordings side by side
       recorder health                  asks the recorder of this container whether it works (exit 0 or 1)
       recorder -version                says which build this is

The settings are environment variables; the README has a table of them.
`

// subcommand does what is no service, and returns the exit status: 1 if all is not well, 2 if nobody knows what is
// wanted.
func subcommand(args []string, out io.Writer) int {
	well, err := true, error(nil)
	switch args[0] {
	case "check":
		well, err = runChecks(context.Background(), args[1:], out)
	case "health":
		err = health.Ask(context.Background(), os.Getenv("METRICS_ADDR"))
		if err != nil {
			fmt.Fprintln(os.Stderr, "recorder:", err)
			return 1 // all that a health check may say
		}
	case "compose":
		err = printComposition(args[1:], out)
	case "-version", "--version", "version":
		fmt.Fprintln(out, "participant-recorder", version.String())
	case "-h", "-help", "--help", "help":
		fmt.Fprint(out, usage)
	default:
		err = fmt.Errorf("unknown argument %q: see recorder -h", args[0])
	}

	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		fmt.Fprintln(os.Stderr, "recorder:", err)
		return 2
	case !well:
		return 1
	}
	return 0
}

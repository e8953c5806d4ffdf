package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"livekit-recorder/recorder/compose"
)

// printComposition prints, for a shell, the ffmpeg command that puts recordings side by side. Its arguments are their
// documents, which lie beside their files.
func printComposition(args []string, out io.Writer) error {
	flags := flag.NewFlagSet("recorder compose", flag.ContinueOnError)
	output := flags.String("o", "composition.mp4", "the file to make")
	flags.Usage = func() {
		fmt.Fprintln(flags.Output(), "usage: recorder compose [-o FILE.mp4] DOCUMENT.json DOCUMENT.json … | sh")
		flags.PrintDefaults()
	}
	if err := flags.Parse(args); err != nil {
		return err
	}

	if flags.NArg() == 0 {
		flags.Usage()
		return errors.New("no document is given")
	}

	var sources []compose.Source
	for _, name := range flags.Args() {
		body, err := os.ReadFile(name)
		if err != nil {
			return fmt.Errorf("read document: %w", err)
		}
		source := compose.Source{Directory: filepath.Dir(name)}
		if err := json.Unmarshal(body, &source.Document); err != nil || source.Document.ID == "" {
			return fmt.Errorf("read document: %s is not the document of a recording", name)
		}
		sources = append(sources, source)
	}

	command, err := compose.Command(sources, *output)
	if err != nil {
		return err
	}

	for n, word := range command {
		command[n] = "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
	}

	_, err = fmt.Fprintln(out, strings.Join(command, " "))
	return err
}

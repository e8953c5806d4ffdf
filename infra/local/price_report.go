package main

import (
	"fmt"
	"os"
	"text/tabwriter"

	"livekit-recorder/infra/local/price"
)

// concurrent are the numbers of participants at once for which prices are printed.
var concurrent = []int{10, 100, 1000}

func printRequests(what string, measured [2]price.Measured) {
	few, many := measured[0], measured[1]
	each := func(m price.Measured, c price.Counts) price.Counts { return c.Times(1 / float64(m.Recordings)) }
	hourly := [2]price.Counts{each(few, few.Hourly), each(many, many.Hourly)}
	once := [2]price.Counts{each(few, few.Once), each(many, many.Once)}

	fmt.Printf("\n%s\n\n", what)
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 1, ' ', 0)
	fmt.Fprintf(w, "| requests of each recording\t| an hour, %d at once\t| an hour, %d at once\t| coming and going, %d\t| %d\t|\n",
		few.Recordings, many.Recordings, few.Recordings, many.Recordings)
	fmt.Fprintln(w, "| ---\t| ---:\t| ---:\t| ---:\t| ---:\t|")
	row := func(name string, of func(price.Counts) float64) {
		fmt.Fprintf(w, "| %s\t| %.1f\t| %.1f\t| %.1f\t| %.1f\t|\n", name, of(hourly[0]), of(hourly[1]), of(once[0]), of(once[1]))
	}
	for _, o := range price.Operations(hourly[0], hourly[1], once[0], once[1]) {
		row(o.String(), func(c price.Counts) float64 { return c[o] })
	}
	for _, kind := range []struct {
		name string
		of   func(price.Operation) bool
	}{
		{"**all that cost as much as a PUT**", price.Operation.Writes},
		{"**as a GET**", price.Operation.Reads},
		{"**nothing**", price.Operation.Deletes},
	} {
		row(kind.name, func(c price.Counts) float64 { return c.Sum(kind.of) })
	}
	_ = w.Flush() // to the terminal
}

func printPrices(what string, measured [2]price.Measured, a price.Assumed) {
	fmt.Printf("\n%s: dollars for a participant and hour, list prices of us-east-1 of %s (check them)\n\n", what,
		price.TableDate)
	for _, nat := range []bool{false, true} {
		w := tabwriter.NewWriter(os.Stdout, 0, 0, 1, ' ', 0)
		columns := make([][]price.Line, len(concurrent))
		for n, people := range concurrent {
			columns[n] = price.Hour(measured[0], measured[1], a, people, nat)
		}
		header := "| public subnets, participants at once"
		if nat {
			header = "| one NAT gateway, participants at once"
		}
		fmt.Fprint(w, header)
		for _, people := range concurrent {
			fmt.Fprintf(w, "\t| %d", people)
		}
		fmt.Fprintln(w, "\t|\n| ---\t| ---:\t| ---:\t| ---:\t|")
		for n, line := range columns[0] {
			fmt.Fprintf(w, "| %s", line.What)
			for _, column := range columns {
				fmt.Fprintf(w, "\t| %.6f", column[n].Dollars)
			}
			fmt.Fprintln(w, "\t|")
		}
		fmt.Fprint(w, "| **together**")
		for _, column := range columns {
			fmt.Fprintf(w, "\t| **%.6f**", price.Total(column))
		}
		fmt.Fprintln(w, "\t|")
		_ = w.Flush() // to the terminal
		fmt.Println()
	}
	fmt.Printf("%d recordings on a recorder on average; %.2f CPU s a minute and %.0f MiB each; calls of %s. The files' storage "+
		"is apart.\n", a.PerRecorder(), a.CPU, a.Memory, a.Call)
}

package main

import (
	"fmt"
	"math"
	"os"
	"strings"
)

// point is what a number of people took: CPU seconds a minute and person.
type point struct {
	people          int
	recorder, floor float64
}

// The chart's picture in pixels: the whole, and the plot in it.
const (
	chartWidth, chartHeight  = 640, 320
	plotLeft, plotRight      = 56, 620
	plotTop, plotBottom      = 40, 272
	recorderColour, floorRGB = "#1f6feb", "#8b949e"
)

// chart draws processor time a person against people, who double to the right. It is readable on light and dark pages.
func chart(points []point) string {
	most, people := 0.0, 1
	for _, p := range points {
		most, people = max(most, p.recorder, p.floor), max(people, p.people)
	}
	step := math.Pow(10, math.Floor(math.Log10(most)))
	if most/step < 3 {
		step /= 2
	}
	top := math.Ceil(most/step) * step
	x := func(n int) float64 {
		return plotLeft + math.Log2(float64(n))/max(1, math.Log2(float64(people)))*(plotRight-plotLeft)
	}
	y := func(v float64) float64 { return plotBottom - v/top*(plotBottom-plotTop) }

	var s strings.Builder
	fmt.Fprintf(&s, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="13">`+"\n",
		chartWidth, chartHeight)
	fmt.Fprintf(&s, `<rect width="%d" height="%d" fill="#fff"/>`+"\n", chartWidth, chartHeight)
	fmt.Fprintf(&s, `<text x="%d" y="24" fill="#24292f">CPU seconds a minute and person, ffmpeg included</text>`+"\n", plotLeft)
	for v := 0.0; v <= top+step/2; v += step {
		fmt.Fprintf(&s, `<path d="M%d %.1fH%d" stroke="#d0d7de"/>`, plotLeft, y(v), plotRight)
		fmt.Fprintf(&s, `<text x="%d" y="%.1f" text-anchor="end" fill="#57606a">%.2g</text>`+"\n", plotLeft-8, y(v)+4, v)
	}
	for _, p := range points {
		fmt.Fprintf(&s, `<text x="%.1f" y="%d" text-anchor="middle" fill="#57606a">%d</text>`+"\n", x(p.people),
			plotBottom+20, p.people)
	}
	fmt.Fprintf(&s, `<text x="%d" y="%d" text-anchor="end" fill="#57606a">people on one recorder</text>`+"\n", plotRight,
		chartHeight-10)

	line := func(name, colour string, below float64, value func(point) float64) {
		var path []string
		for _, p := range points {
			path = append(path, fmt.Sprintf("%.1f %.1f", x(p.people), y(value(p))))
			fmt.Fprintf(&s, `<circle cx="%.1f" cy="%.1f" r="4" fill="%s"/>`, x(p.people), y(value(p)), colour)
		}
		last := points[len(points)-1]
		fmt.Fprintf(&s, `<path d="M%s" fill="none" stroke="%s" stroke-width="2"/>`, strings.Join(path, "L"), colour)
		fmt.Fprintf(&s, `<text x="%.1f" y="%.1f" text-anchor="end" fill="%s">%s</text>`+"\n", x(last.people),
			y(value(last))+below, colour, name)
	}
	line("recorder", recorderColour, -10, func(p point) float64 { return p.recorder })
	line("receiving alone", floorRGB, 20, func(p point) float64 { return p.floor })
	s.WriteString("</svg>\n")
	return s.String()
}

// draw writes the chart of some rows, all of one kind, to a file.
func draw(path string, rows []loadRow) error {
	var points []point
	for _, r := range rows {
		floor := (r.floor[0] + r.floor[1]) / 2
		if r.both {
			floor = r.beside
		}
		points = append(points, point{r.people, r.person(r.recorder + r.ffmpeg), r.person(floor)})
	}
	if err := os.WriteFile(path, []byte(chart(points)), 0o644); err != nil {
		return fmt.Errorf("draw chart: %w", err)
	}
	return nil
}

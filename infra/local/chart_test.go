package main

import (
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// A chart is well-formed XML, has a number for every row, and nothing outside of the picture.
func TestChartShowsEveryRow(t *testing.T) {
	for name, points := range map[string][]point{
		"usual":   {{1, 1.05, 0.82}, {10, 0.48, 0.38}, {20, 0.41, 0.33}},
		"one row": {{1, 1.05, 0.82}},
	} {
		t.Run(name, func(t *testing.T) {
			drawn := chart(points)
			circles, decoder := 0, xml.NewDecoder(strings.NewReader(drawn))
			for {
				token, err := decoder.Token()
				if errors.Is(err, io.EOF) {
					break
				}
				require.NoError(t, err)
				if start, ok := token.(xml.StartElement); ok && start.Name.Local == "circle" {
					circles++
				}
			}
			require.Equal(t, 2*len(points), circles)
			require.NotContains(t, drawn, "NaN")
			require.NotContains(t, drawn, "Inf")
			require.NotContains(t, drawn, `"-`)
		})
	}
}

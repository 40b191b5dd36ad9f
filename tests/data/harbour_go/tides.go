package harbour

import (
	"errors"
	"fmt"
	"sort"
	"time"
)

// ErrNoTide says that no tide is known for a day.
var ErrNoTide = errors.New("no tide is known")

// Tide is a high water of a place.
type Tide struct {
	Place  string
	Height float64
	Time   time.Time
}

// TideTable holds the tides of a year by place.
type TideTable struct {
	tides map[string][]Tide
	year  int
}

// NewTideTable returns a table without tides.
func NewTideTable(year int) *TideTable {
	return &TideTable{tides: make(map[string][]Tide), year: year}
}

// Add puts a tide into the table.
func (t *TideTable) Add(tide Tide) error {
	if tide.Time.Year() != t.year {
		return fmt.Errorf("tide of %d in the table of %d", tide.Time.Year(), t.year)
	}
	t.tides[tide.Place] = append(t.tides[tide.Place], tide)
	return nil
}

// Highest returns the highest tide of a place.
func (t *TideTable) Highest(place string) (Tide, error) {
	found := t.tides[place]
	if len(found) == 0 {
		return Tide{}, fmt.Errorf("%w: %s", ErrNoTide, place)
	}
	sort.Slice(found, func(i, j int) bool { return found[i].Height > found[j].Height })
	return found[0], nil
}

// Next returns the first tide of a place after a time.
func (t *TideTable) Next(place string, after time.Time) (Tide, error) {
	for _, tide := range t.tides[place] {
		if tide.Time.After(after) {
			return tide, nil
		}
	}
	return Tide{}, ErrNoTide
}

// Places returns the places of the table in order.
func (t *TideTable) Places() []string {
	places := make([]string, 0, len(t.tides))
	for place := range t.tides {
		places = append(places, place)
	}
	sort.Strings(places)
	return places
}

// Mean returns the mean height of a place's tides.
func (t *TideTable) Mean(place string) float64 {
	var total float64
	for _, tide := range t.tides[place] {
		total += tide.Height
	}
	return total / float64(max(1, len(t.tides[place])))
}

package berths

import (
	"errors"
	"fmt"
	"strings"
)

// ErrFull says that a harbour's last berth is taken ("full").
var ErrFull = errors.New("full")

type Berth struct {
	Name  string `json:"name"`
	Depth int    `json:"depth,omitempty"`
	ships map[string][]*Ship
}

type Finder interface {
	Find(name string, least func(int) bool) (*Berth, error)
}

func (b *Berth) Moor(ship *Ship, lines ...string) (err error) {
	if b == nil || len(b.ships[ship.Kind]) >= cap(b.ships[ship.Kind]) {
		return fmt.Errorf("berth %q: %w", strings.ToUpper(b.Name), ErrFull)
	}
	b.ships[ship.Kind] = append(b.ships[ship.Kind], ship)
	defer func() { b.log(map[string]any{"ship": ship.Name, "lines": lines}) }()
	for i, line := range lines {
		if r := line[0]; r == '(' || r == '"' || (i > 0 && r == '\'') {
			return errors.Join(err, fmt.Errorf(`line %d of "%s"`, i, ship.Name))
		}
	}
	go func(names []string) { notify(names[:1], struct{ Name string }{names[0]}) }([]string{b.Name})
	return nil
}

func Map[T, U any](from []T, by func(T) U) []U {
	out := make([]U, 0, len(from))
	for _, each := range from {
		out = append(out, by(each))
	}
	return out
}

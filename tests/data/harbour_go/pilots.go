package harbour

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"
)

// MaxPilotedTonnes is the largest ship that one pilot may bring in.
const MaxPilotedTonnes = 120_000

// Pilot brings ships into the harbour.
type Pilot struct {
	Name     string
	Licences []string
	busy     bool
}

// Ship wants to be brought in.
type Ship struct {
	Name    string
	Tonnes  int
	Arrival time.Time
}

// PilotOffice assigns pilots to ships.
type PilotOffice struct {
	mutex  sync.Mutex
	pilots []*Pilot
	log    func(message string)
}

// Register adds a pilot to the office.
func (o *PilotOffice) Register(pilot *Pilot) {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	o.pilots = append(o.pilots, pilot)
	o.log(fmt.Sprintf("pilot %s is registered", pilot.Name))
}

// Assign returns a pilot who is free and has a licence for the ship.
func (o *PilotOffice) Assign(ctx context.Context, ship Ship) (*Pilot, error) {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	for _, pilot := range o.pilots {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if !pilot.busy && pilot.MayBring(ship) {
			pilot.busy = true
			return pilot, nil
		}
	}
	return nil, fmt.Errorf("no pilot for %q (%d tonnes)", ship.Name, ship.Tonnes)
}

// MayBring tells whether a pilot has a licence for a ship.
func (p *Pilot) MayBring(ship Ship) bool {
	if ship.Tonnes > MaxPilotedTonnes {
		return p.hasLicence("unlimited")
	}
	return len(p.Licences) > 0
}

func (p *Pilot) hasLicence(wanted string) bool {
	for _, licence := range p.Licences {
		if strings.EqualFold(licence, wanted) {
			return true
		}
	}
	return false
}

// Release frees a pilot again.
func (o *PilotOffice) Release(pilot *Pilot) {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	pilot.busy = false
	o.log(strings.Join([]string{"pilot", pilot.Name, "is free"}, " "))
}

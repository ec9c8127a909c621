package replay

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"
)

// state is what an interrupted replay needs to go on.
type state struct {
	Position    uint64    `json:"position"` // done up to here, in the source
	Incarnation time.Time `json:"incarnation,omitzero"`
	Mark        int64     `json:"mark"` // how long the file was
	Report      `json:"report"`

	seen    uint64 // taken, maybe not flushed
	unsaved int    // events since the last save
}

// loadState returns what the state file says; of a new replay, nothing.
func loadState(o Options) (state, error) {
	var s state
	if o.State == "" {
		return s, nil
	}
	data, err := os.ReadFile(o.State)
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return s, err
	}
	if err := json.Unmarshal(data, &s); err != nil {
		return s, fmt.Errorf("%s: %w", o.State, err)
	}
	s.Resumed, s.seen = true, s.Position
	return s, nil
}

// save makes durable what was taken, then writes down that it is.
func (r *run) save(ctx context.Context) error {
	if err := r.sink.flush(ctx); err != nil {
		return err
	}
	r.state.Position, r.state.Mark, r.state.unsaved = r.state.seen, r.sink.mark(), 0
	if db, ok := r.sink.(*databaseSink); ok {
		out := db.outcome
		r.state.Stored += int64(out.Stored)
		r.state.Duplicate += int64(out.Duplicate)
		r.state.Summarised += int64(out.Summarised)
		r.state.Refused += int64(db.refused)
		if db.reason != nil {
			r.state.Reason = db.reason.Error()
		}
		*db = databaseSink{store: db.store}
	}
	if r.o.State == "" {
		return nil
	}
	data, err := json.Marshal(r.state)
	if err != nil {
		return err
	}
	// Replaced as a whole: half a state file would be worse than none.
	next := r.o.State + ".new"
	if err := os.WriteFile(next, data, 0o600); err != nil {
		return err
	}
	return os.Rename(next, r.o.State)
}

// forget removes the state of a replay that is through.
func (r *run) forget() error {
	if r.o.State == "" {
		return nil
	}
	err := os.Remove(r.o.State)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

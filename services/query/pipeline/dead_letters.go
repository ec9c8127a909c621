package pipeline

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/lakepulse/lakepulse/api"
	"github.com/lakepulse/lakepulse/pkg/fault"
)

// DeadLetters is what the writers say of the dead letters: how many there are,
// and some of them.
type DeadLetters struct {
	Count   int64        `json:"count"`
	Letters []deadLetter `json:"letters"`
}

type deadLetter struct {
	Sequence         int64               `json:"sequence"`
	Reason           string              `json:"reason"`
	FirstSeen        time.Time           `json:"first_seen"`
	Subject          string              `json:"subject"`
	OriginalSubject  string              `json:"original_subject"`
	OriginalSequence int64               `json:"original_sequence"`
	CodeVersion      string              `json:"code_version"`
	Size             int64               `json:"size"`
	Bytes            int64               `json:"bytes"`
	Headers          map[string][]string `json:"headers"`
	Content          json.RawMessage     `json:"content"` // the events, where they could be read
	Raw              []byte              `json:"raw"`     // the first bytes, where not
}

// ReadDeadLetters returns the dead letters, newest first.
func ReadDeadLetters(ctx context.Context, tx pgx.Tx) (DeadLetters, error) {
	parts, err := readStatus(ctx, tx)
	return findDeadLetters(parts), err
}

// List returns the first of the letters, and how many there are in all.
func (b DeadLetters) List(limit int) *api.DeadLetterList {
	list := &api.DeadLetterList{Count: b.Count, DeadLetters: []api.DeadLetter{}}
	for _, l := range b.Letters[:min(limit, len(b.Letters))] {
		list.DeadLetters = append(list.DeadLetters, l.describe())
	}
	return list
}

// Find returns the content of the letter with a sequence.
func (b DeadLetters) Find(sequence int64) (*api.DeadLetterContent, error) {
	for _, l := range b.Letters {
		if l.Sequence == sequence {
			return l.content(), nil
		}
	}
	return nil, fault.New(fault.NotFound, "Dead letter %d is not among those kept here", sequence)
}

// findDeadLetters finds the dead letters among what the parts say.
func findDeadLetters(parts []statusPart) DeadLetters {
	var body DeadLetters
	for _, p := range parts {
		if p.name == "dead_letters" && p.decode(&body) {
			break
		}
	}
	slices.SortFunc(body.Letters, func(a, b deadLetter) int { return cmp.Compare(b.Sequence, a.Sequence) })
	body.Count = max(body.Count, int64(len(body.Letters)))
	return body
}

func (l deadLetter) describe() api.DeadLetter {
	d := api.DeadLetter{Sequence: l.Sequence, Reason: l.Reason, FirstSeen: l.FirstSeen.UTC(), Subject: cmp.Or(l.OriginalSubject, l.Subject),
		Size: max(l.Size, l.Bytes), CodeVersion: optional(l.CodeVersion)}
	if l.OriginalSequence > 0 {
		d.OriginalSequence = &l.OriginalSequence
	}
	var events []json.RawMessage
	if json.Unmarshal(l.Content, &events) == nil && events != nil {
		n := int64(len(events))
		d.Events = &n
	}
	return d
}

func (l deadLetter) content() *api.DeadLetterContent {
	c := &api.DeadLetterContent{DeadLetter: l.describe(), Headers: l.Headers, Encoding: api.EncodingBase64,
		Content: base64.StdEncoding.EncodeToString(l.Raw)}
	if c.Headers == nil {
		c.Headers = map[string][]string{}
	}
	if len(l.Content) > 0 {
		c.Encoding, c.Content = api.EncodingText, string(l.Content)
		return c
	}
	truncated := int64(len(l.Raw)) < c.DeadLetter.Size
	c.Truncated = &truncated
	return c
}

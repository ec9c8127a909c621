package query

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/lakepulse/lakepulse/api"
	"github.com/lakepulse/lakepulse/pkg/auth"
	"github.com/lakepulse/lakepulse/pkg/fault"
	"github.com/lakepulse/lakepulse/pkg/httpapi"
)

func (s *Service) deadLetters() httpapi.Route {
	return httpapi.Endpoint[int, *api.DeadLetterList]{
		Method: http.MethodGet, Path: "/api/v1/pipeline/dead", Access: httpapi.Admin,
		Decode: func(r *http.Request) (int, error) {
			p := &params{q: r.URL.Query()}
			return p.limit(100), p.err
		},
		Execute: func(ctx context.Context, _ auth.Caller, limit int) (*api.DeadLetterList, error) {
			letters, err := s.letters(ctx)
			resp := &api.DeadLetterList{Count: letters.Count, DeadLetters: []api.DeadLetter{}}
			for _, l := range letters.Letters[:min(limit, len(letters.Letters))] {
				resp.DeadLetters = append(resp.DeadLetters, l.describe())
			}
			return resp, err
		},
	}.Route()
}

func (s *Service) deadLetter() httpapi.Route {
	return httpapi.Endpoint[int64, *api.DeadLetterContent]{
		Method: http.MethodGet, Path: "/api/v1/pipeline/dead/{sequence}", Access: httpapi.Admin,
		Decode: func(r *http.Request) (int64, error) {
			n, err := strconv.ParseInt(r.PathValue("sequence"), 10, 64)
			if err != nil || n < 1 {
				return 0, refuse("sequence", "positive", "sequence must be a positive number")
			}
			return n, nil
		},
		Execute: func(ctx context.Context, _ auth.Caller, sequence int64) (*api.DeadLetterContent, error) {
			letters, err := s.letters(ctx)
			if err != nil {
				return nil, err
			}
			for _, l := range letters.Letters {
				if l.Sequence == sequence {
					return l.content(), nil
				}
			}
			return nil, fault.New(fault.NotFound, "Dead letter %d is not among those kept here", sequence)
		},
	}.Route()
}

func (s *Service) letters(ctx context.Context) (letterBody, error) {
	var letters letterBody
	err := s.store.snapshot(ctx, func(ctx context.Context, tx pgx.Tx) error {
		parts, err := readParts(ctx, tx)
		letters = readLetters(parts)
		return err
	})
	return letters, err
}

// letterBody is what the writers say of the dead letters: how many there are,
// and some of them.
type letterBody struct {
	Count   int64    `json:"count"`
	Letters []letter `json:"letters"`
}

type letter struct {
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

// readLetters returns the dead letters, newest first.
func readLetters(parts []part) letterBody {
	var body letterBody
	for _, p := range parts {
		if p.name == "dead_letters" && p.read(&body) {
			break
		}
	}
	slices.SortFunc(body.Letters, func(a, b letter) int { return cmp.Compare(b.Sequence, a.Sequence) })
	body.Count = max(body.Count, int64(len(body.Letters)))
	return body
}

func (l letter) describe() api.DeadLetter {
	d := api.DeadLetter{Sequence: l.Sequence, Reason: l.Reason, FirstSeen: l.FirstSeen.UTC(), Subject: or(l.OriginalSubject, l.Subject),
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

func (l letter) content() *api.DeadLetterContent {
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

// or is value, or otherwise in its place where it is "".
func or(value, otherwise string) string {
	if value == "" {
		return otherwise
	}
	return value
}

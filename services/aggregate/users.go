package aggregate

import (
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/lakepulse/lakepulse/pkg/stats"
)

// userIndex numbers users as they come, from 1, until the database has given
// them their numbers.
type userIndex struct {
	local   map[string]int32
	ids     []string
	numbers []int32 // of the first of ids; the rest is not asked for yet
	known   userCache
	// asNumbers: the sets hold the database's numbers already.
	asNumbers bool
}

// userCache holds numbers of users that the database has committed. A run keeps
// it from one transaction to the next, and no longer: names can change.
type userCache map[string]int32

const maxCachedUsers = 100_000

func newUserIndex(known userCache) *userIndex {
	return &userIndex{local: map[string]int32{}, known: known}
}

func (u *userIndex) index(id []byte) int32 {
	if i, known := u.local[string(id)]; known {
		return i
	}
	name := string(id)
	u.ids = append(u.ids, name)
	i := int32(len(u.ids)) // bounded by what an hour can hold in memory
	u.local[name] = i
	return i
}

// resolve turns a set of our numbers into the sorted numbers of the database.
func (u *userIndex) resolve(set *stats.Users) []int32 {
	out := set.Numbers()
	if u.asNumbers {
		return out
	}
	for i, local := range out {
		out[i] = u.numbers[local-1]
	}
	slices.Sort(out)
	return out
}

// number has the database number the users that came since the last time.
func (u *userIndex) number(ctx context.Context, tx pgx.Tx) error {
	var strangers []string
	for _, id := range u.ids[len(u.numbers):] {
		n := u.known[id]
		u.numbers = append(u.numbers, n)
		if n == 0 {
			strangers = append(strangers, id)
		}
	}
	if len(strangers) == 0 {
		return nil
	}
	rows, err := tx.Query(ctx, numberUsers, strangers)
	if err != nil {
		return err
	}
	var id string
	var n int32
	left := len(strangers)
	_, err = pgx.ForEachRow(rows, []any{&id, &n}, func() error {
		u.numbers[u.local[id]-1] = n
		left--
		return nil
	})
	if err == nil && left != 0 {
		err = fmt.Errorf("%d users got no number", left)
	}
	return err
}

// committed keeps the numbers for the transactions to come; call it when the
// one that gave them has committed.
func (u *userIndex) committed() {
	if len(u.known)+len(u.ids) > maxCachedUsers {
		clear(u.known)
	}
	for i, id := range u.ids[:min(len(u.ids), maxCachedUsers)] {
		u.known[id] = u.numbers[i]
	}
}

// Numbers are spent only on users that are new: a conflict would spend one too.
const numberUsers = `
WITH known AS (SELECT user_id, user_number FROM user_numbers WHERE user_id = ANY($1)),
fresh AS (
    INSERT INTO user_numbers (user_id)
    SELECT id FROM unnest($1::text[]) AS id WHERE NOT EXISTS (SELECT FROM known WHERE known.user_id = id) ORDER BY id
    ON CONFLICT DO NOTHING RETURNING user_id, user_number)
SELECT * FROM known UNION ALL SELECT * FROM fresh`

package stats

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
)

// Users is an exact set of user numbers, which are positive and dense: the
// database hands them out in order. The zero value is empty and ready.
//
// It is a bitmap in pages, so that a set of a few users costs a page or two and
// a union costs one instruction for 64 users.
type Users struct {
	pages []*page
	n     int
}

const (
	pageWords = 64
	pageBits  = pageWords * 64
)

type page [pageWords]uint64

var errUsers = errors.New("stats: not a set of users")

// Add puts users into the set; numbers that are not positive are no users.
func (u *Users) Add(numbers ...int32) {
	for _, x := range numbers {
		if x > 0 {
			u.add(uint32(x))
		}
	}
}

// AddBinary puts a Postgres int[] into the set, as the database sends it in
// binary: what pgx's Rows.RawValues holds, or array_send returns. It decodes in
// place, because a page of the dashboard unites a million numbers.
func (u *Users) AddBinary(data []byte) error {
	const (
		int4OID  = 23
		head     = 12 // dimensions, null flag, element type
		dim      = 8  // length, lower bound
		element  = 8  // size, value
		elements = head + dim
	)
	if len(data) < head || binary.BigEndian.Uint32(data[8:]) != int4OID {
		return fmt.Errorf("%w: no int4 array", errUsers)
	}
	if binary.BigEndian.Uint32(data) == 0 {
		return nil // the empty array has no dimension
	}
	if len(data) < elements || binary.BigEndian.Uint32(data) != 1 || binary.BigEndian.Uint32(data[4:]) != 0 {
		return fmt.Errorf("%w: more than one dimension, or nulls", errUsers)
	}
	body := data[elements:]
	if uint64(len(body)) != uint64(binary.BigEndian.Uint32(data[head:]))*element {
		return fmt.Errorf("%w: cut short", errUsers)
	}
	for ; len(body) > 0; body = body[element:] {
		x := int32(binary.BigEndian.Uint32(body[4:])) // two's complement is the encoding
		if x <= 0 {
			return fmt.Errorf("%w: number %d", errUsers, x)
		}
		u.add(uint32(x))
	}
	return nil
}

// Merge puts o's users into the set.
func (u *Users) Merge(o *Users) {
	for i, theirs := range o.pages {
		if theirs == nil {
			continue
		}
		ours := u.page(uint32(i)) // at most 2^31 / pageBits
		for w, more := range theirs {
			u.n += bits.OnesCount64(more &^ ours[w])
			ours[w] |= more
		}
	}
}

// Count returns how many users are in the set.
func (u *Users) Count() int { return u.n }

// Has reports whether a user is in the set.
func (u *Users) Has(number int32) bool {
	if number <= 0 || int(number/pageBits) >= len(u.pages) {
		return false
	}
	p := u.pages[number/pageBits]
	return p != nil && p[number%pageBits/64]&(1<<(number%64)) != 0
}

// Numbers returns the users in ascending order.
func (u *Users) Numbers() []int32 {
	out := make([]int32, 0, u.n)
	for i, p := range u.pages {
		if p == nil {
			continue
		}
		for w, word := range p {
			for ; word != 0; word &= word - 1 {
				out = append(out, int32(i*pageBits+w*64+bits.TrailingZeros64(word))) // was an int32
			}
		}
	}
	return out
}

// Reset empties the set and keeps its memory.
func (u *Users) Reset() {
	for _, p := range u.pages {
		if p != nil {
			*p = page{}
		}
	}
	u.n = 0
}

func (u *Users) add(x uint32) {
	p := u.page(x / pageBits)
	word, bit := &p[x%pageBits/64], uint64(1)<<(x%64)
	if *word&bit == 0 {
		*word |= bit
		u.n++
	}
}

func (u *Users) page(i uint32) *page {
	if int(i) >= len(u.pages) {
		u.pages = append(u.pages, make([]*page, int(i)+1-len(u.pages))...)
	}
	if u.pages[i] == nil {
		u.pages[i] = new(page)
	}
	return u.pages[i]
}

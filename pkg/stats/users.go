package stats

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
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

// AddEncoded puts a stored set into the set: see [AppendUsers].
func (u *Users) AddEncoded(data []byte) error {
	var number uint64
	for len(data) > 0 {
		step, size := binary.Uvarint(data)
		if number += step; size <= 0 || step == 0 || number > math.MaxInt32 {
			return fmt.Errorf("%w: at %d", errUsers, number)
		}
		u.add(uint32(number)) // at most MaxInt32
		data = data[size:]
	}
	return nil
}

// AppendUsers appends the encoding of a set: each number's distance from the one
// before as a varint. The numbers are positive, ascending and different.
func AppendUsers(dst []byte, sorted []int32) []byte {
	last := int32(0)
	for _, n := range sorted {
		dst = binary.AppendUvarint(dst, uint64(n-last)) // ascending
		last = n
	}
	return dst
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

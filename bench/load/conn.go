package load

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"
)

// conn is one HTTP/1.1 connection that sends prepared requests.
type conn struct {
	net.Conn
	r *bufio.Reader
}

func dial(addr string) (*conn, error) {
	c, err := net.DialTimeout("tcp", addr, 5*time.Second)
	if err != nil {
		return nil, err
	}
	return &conn{Conn: c, r: bufio.NewReaderSize(c, 4<<10)}, nil
}

// answerPatience bounds one exchange.
const answerPatience = 60 * time.Second

// exchange sends a request and reads the answer.
func (c *conn) exchange(data []byte) error {
	if err := c.SetDeadline(time.Now().Add(answerPatience)); err != nil {
		return err
	}
	if _, err := c.Write(data); err != nil {
		return err
	}
	line, err := c.r.ReadSlice('\n')
	if err != nil {
		return err
	}
	if len(line) < 12 {
		return fmt.Errorf("answer %q", line)
	}
	status, err := strconv.Atoi(string(line[9:12]))
	if err != nil {
		return err
	}
	length, err := c.headers()
	if err != nil {
		return err
	}
	if status/100 != 2 {
		body, err := io.ReadAll(io.LimitReader(c.r, int64(min(length, 500))))
		return fmt.Errorf("answered %d: %s (%w)", status, body, err)
	}
	_, err = c.r.Discard(length)
	return err
}

var contentLength = []byte("content-length:")

// headers reads the headers and returns the body's length.
func (c *conn) headers() (int, error) {
	length := 0
	for {
		line, err := c.r.ReadSlice('\n')
		if err != nil {
			return 0, err
		}
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 {
			return length, nil
		}
		if len(line) > len(contentLength) && bytes.EqualFold(line[:len(contentLength)], contentLength) {
			if length, err = strconv.Atoi(string(bytes.TrimSpace(line[len(contentLength):]))); err != nil {
				return 0, err
			}
		}
	}
}

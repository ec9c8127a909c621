package rules

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCleanText(t *testing.T) {
	t.Parallel()
	require.Equal(t, "äöü", CleanText("äöüß", 3), "characters, not bytes")
	require.Equal(t, "ab\uFFFDc", CleanText("a\x00b\xffc", 9))
}

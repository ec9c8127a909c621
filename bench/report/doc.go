// Package report keeps measurements and prints them: medians with the least and
// the most, and the ratios, which are all that can be compared between machines.
package report

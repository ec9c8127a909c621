module github.com/lakepulse/lakepulse/clients/go

go 1.23

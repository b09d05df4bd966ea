// Package xgboost trains with XGBoost's own library, so that package gbt can be held against it. It is for tests alone,
// needs cgo and Debian's libxgboost-dev (1.7.4), and is empty without the build tag xgboost:
//
//	go test -tags xgboost -count 1 -v ./ml/gbt/xgboost
package xgboost

// Package nezha reads the data set published with Nezha (IntelligentDDS/Nezha, MIT licence): spans, and metrics of pods,
// of two applications into which faults were injected.
//
// Which of these a CSV file is, its header says:
//
//	TraceID,SpanID,ParentID,PodName,OperationName,StartTimeUnixNano,EndTimeUnixNano,Duration    spans
//	Time,TimeStamp,PodName,CpuUsage(m),…,PodServerLatencyP99(s),PodWorkload(Ops),…              a pod, each minute
//	Time,TimeStamp,ServiceName,SuccessRate(%),LatencyP50(s),…,LatencyP99(s)                     what users saw
//	Source,Target,Weight                                                                        who calls whom
//	time,timestamp,frontend_adservice,…                                                         latency of calls
//
// A service is what a pod's name says without the ends that Kubernetes gives it. Spans have no kind; see
// source.InferKinds. ParentID root means none.
//
// A row of a pod's metrics, taken at some second of a minute, becomes the snapshot of the minute that ended last. Its time
// is the column Time: in some files TimeStamp is years off. Of the columns are read: CpuUsage in thousandths of a core;
// MemoryUsage; the network's bytes and PodWorkload, which are rates per second; and the 90th, 95th and 99th percentile of
// the time a pod took to answer. Lower percentiles are not in the data: they read as the 90th. PodSuccessRate is 0 in every
// row, so errors are absent; the use of nodes is not read, since no column names the node. Of the latency of calls only
// the names count. The list of faults is not read: it is the truth that who diagnoses must find out.
package nezha

{{- define "runtimes.labels" -}}
app.kubernetes.io/name: kruntimes-runtimes
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "runtimes.image" -}}
{{- with .root.Values.images.registry }}{{ . }}/{{ end }}{{ .name }}:{{ .tag | default .root.Values.images.tag | default .root.Chart.AppVersion }}
{{- end -}}
